"""Open-loop load: objects come at their times, whether or not the ones before are ready."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import json
import random
import statistics
import time
from typing import Any

import aiohttp

from pluginsandbox.controller.cluster import Cluster
from tests.bench.subject import Subject
from tests.integration.operator.bed import eventually

PATIENCE_SECONDS = 20.0
HELD_SECONDS = 2.0
"""A rate is held if the later half of its arrivals got ready about as soon as the earlier one."""


@dataclasses.dataclass(frozen=True)
class Result:
    """What came of one rate.

    Args:
        rate: Arrivals each second.
        seconds: From each arrival to ready, in the order of arrival; infinite = never.

    """

    rate: float
    seconds: tuple[float, ...]

    def percentile(self, share: float) -> float:
        """Return the time within which so many got ready."""
        return sorted(self.seconds)[min(len(self.seconds) - 1, int(share * len(self.seconds)))]

    @property
    def held(self) -> bool:
        """Whether no backlog grew."""
        half = len(self.seconds) // 2
        early, late = (
            statistics.median(part) for part in (self.seconds[:half], self.seconds[half:])
        )
        return late < max(2 * early, early + HELD_SECONDS / 4) and self.percentile(0.99) < 30


class Load:
    """Makes objects and sees them get ready.

    Args:
        api: The API server.
        session: For the watch.
        subject: What is made.
        namespace: Where.

    """

    def __init__(
        self, api: Cluster, session: aiohttp.ClientSession, subject: Subject, namespace: str
    ) -> None:
        self._api = api
        self._session = session
        self._subject = subject
        self._path = f"{subject.path}/namespaces/{namespace}/{subject.plural}"
        self._ready: dict[str, float] = {}
        self._made = 0

    async def run(self, rate: float, number: int, patience: float = PATIENCE_SECONDS) -> Result:
        """Make objects at a rate, with the spacing of independent users.

        Args:
            rate: Arrivals each second.
            number: Of objects.
            patience: Seconds after the last arrival in which an object may get ready.

        """
        rng = random.Random(number)  # noqa: S311 - the same arrivals for each subject
        watching = asyncio.create_task(self._watch())
        names = [f"bench-{self._made + each}" for each in range(number)]
        self._made += number
        began: dict[str, float] = {}
        tasks = []
        due = time.monotonic()
        for name in names:
            due += rng.expovariate(rate)
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            began[name] = due
            tasks.append(asyncio.create_task(self._make(name)))
        await asyncio.gather(*tasks)
        with contextlib.suppress(TimeoutError):
            await eventually("all ready", lambda: self._has(names), seconds=patience)
        watching.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await watching
        never = float("inf")
        return Result(rate, tuple(self._ready.get(name, never) - began[name] for name in names))

    async def _has(self, names: list[str]) -> bool:
        return self._ready.keys() >= set(names)

    async def _make(self, name: str) -> None:
        await self._api._insist("POST", self._path, {}, self._subject.body(name))

    async def _watch(self) -> None:
        """Note when each object gets ready, as any client of the API server sees it."""
        client = self._api._client
        headers: dict[str, Any] = {}
        await client.update_params_for_auth(headers, [], ["BearerToken"], "", "GET", None)
        version = (await self._api._insist("GET", self._path, {"limit": "1"}))["metadata"]
        query = {"watch": "true", "resourceVersion": version["resourceVersion"]}
        url = f"{client.configuration.host}{self._path}"
        async with self._session.get(url, params=query, headers=headers) as answer:
            async for line in answer.content:
                body = json.loads(line)["object"]
                name = body["metadata"].get("name", "")
                if name not in self._ready and self._subject.is_ready(body):
                    self._ready[name] = time.monotonic()
