"""Open-loop load: objects come at their times, whether or not the ones before are ready."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import random
import statistics
import time
from collections.abc import AsyncIterator
from typing import Any, TypedDict

import aiohttp
import msgspec

from pluginsandbox.controller import connection
from pluginsandbox.controller.cluster import CONFLICT, Cluster
from pluginsandbox.controller.errors import RetryError
from tests.bench.subject import Subject
from tests.integration.operator.bed import eventually

PATIENCE_SECONDS = 60.0
HELD_SECONDS = 2.0
"""Within which 99 of 100 get ready at a rate that is held, and by a quarter of which the median of
the later half of its arrivals may be above that of the earlier one."""
FILL_AT_ONCE = 40


class _Metadata(TypedDict, total=False):
    name: str
    generation: int


class _Status(TypedDict, total=False):
    observedGeneration: int
    conditions: list[dict[str, Any]]


class _Object(TypedDict, total=False):
    metadata: _Metadata
    status: _Status


class _Event(msgspec.Struct):
    """What is read of an event: the bench shares its cores with what it measures."""

    object: _Object


_EVENT = msgspec.json.Decoder(_Event)


@dataclasses.dataclass(frozen=True)
class Result:
    """What came of one rate.

    Args:
        rate: Arrivals each second.
        seconds: From each arrival to ready, in the order of arrival; infinite = never.
        names: Of the objects.

    """

    rate: float
    seconds: tuple[float, ...]
    names: tuple[str, ...] = ()

    def percentile(self, share: float) -> float:
        """Return the time within which so many got ready."""
        return sorted(self.seconds)[min(len(self.seconds) - 1, int(share * len(self.seconds)))]

    @property
    def held(self) -> bool:
        """Whether nearly all got ready soon, and no backlog grew."""
        half = len(self.seconds) // 2
        early, late = (
            statistics.median(part) for part in (self.seconds[:half], self.seconds[half:])
        )
        return self.percentile(0.99) <= HELD_SECONDS and late < early + HELD_SECONDS / 4


class Load:
    """Makes objects and sees them get ready.

    Args:
        api: The API server.
        subject: What is made.
        namespace: Where.

    """

    def __init__(self, api: Cluster, subject: Subject, namespace: str) -> None:
        self._api = api
        self._subject = subject
        self._path = f"{subject.path}/namespaces/{namespace}/{subject.plural}"
        self._ready: dict[str, float] = {}
        self._changed = asyncio.Event()
        self.made = 0

    async def run(self, rate: float, number: int) -> Result:
        """Make objects at a rate, with the spacing of independent users.

        Args:
            rate: Arrivals each second.
            number: Of objects.

        """
        rng = random.Random(number)  # noqa: S311 - the same arrivals for each subject
        names = self._names(number)
        began: dict[str, float] = {}
        tasks = []
        async with self._watching():
            due = time.monotonic()
            for name in names:
                due += rng.expovariate(rate)
                await asyncio.sleep(max(0.0, due - time.monotonic()))
                began[name] = due
                tasks.append(asyncio.create_task(self._make(name)))
            await asyncio.gather(*tasks)
            with contextlib.suppress(TimeoutError):
                await eventually("all ready", lambda: self._has(names), seconds=PATIENCE_SECONDS)
        never = float("inf")
        seconds = (self._ready.get(name, never) - began[name] for name in names)
        return Result(rate, tuple(seconds), tuple(names))

    async def fill(self, number: int) -> None:
        """Make objects as fast as they get ready.

        Args:
            number: Of objects that there are then.

        """
        names = self._names(max(0, number - self.made))
        begun: set[str] = set()
        async with self._watching():
            for name in names:
                while len(begun := begun - self._ready.keys()) >= FILL_AT_ONCE:
                    self._changed.clear()
                    await asyncio.wait_for(self._changed.wait(), PATIENCE_SECONDS)
                begun.add(name)
                await self._make(name)
            await eventually("all ready", lambda: self._has(names), seconds=PATIENCE_SECONDS)

    def _names(self, number: int) -> list[str]:
        names = [f"bench-{self.made + each}" for each in range(number)]
        self.made += number
        return names

    async def _has(self, names: list[str]) -> bool:
        return self._ready.keys() >= set(names)

    async def _make(self, name: str) -> None:
        try:
            await self._api._insist("POST", self._path, {}, self._subject.body(name))
        except RetryError as error:
            if error.code != CONFLICT:  # it was made, and only the answer was late
                raise

    @contextlib.asynccontextmanager
    async def _watching(self) -> AsyncIterator[None]:
        """Note when each object gets ready, as any client of the API server sees it."""
        version = (await self._api._insist("GET", self._path, {"limit": "1"}))["metadata"]
        task = asyncio.create_task(self._watch(version["resourceVersion"]))
        try:
            yield
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def _watch(self, version: str) -> None:
        client = self._api._client
        query = {"watch": "true", "resourceVersion": version}
        url = f"{client.configuration.host}{self._path}"
        headers = await connection.token(client)
        timeout = aiohttp.ClientTimeout(total=None)
        async with (
            connection.session(client, 0, headers=headers, timeout=timeout) as session,
            session.get(url, params=query) as answer,
        ):
            async for line in answer.content:
                body = _EVENT.decode(line).object
                name = body.get("metadata", {}).get("name", "")
                if name not in self._ready and self._subject.is_ready(body):
                    self._ready[name] = time.monotonic()
                    self._changed.set()
