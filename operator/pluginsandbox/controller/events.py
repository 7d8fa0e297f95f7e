"""Posts Events about sandboxes: few, aggregated, and never in the way of a reconcile.

The same event again is only counted; after a while one write brings the count up to date. More
than `BURST` in a row wait, and what does not fit into the queue is dropped: an Event is a courtesy.
"""

from __future__ import annotations

import asyncio
import dataclasses
import datetime as dt
import secrets
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, Literal

import structlog

from pluginsandbox.api.sandbox import API_VERSION, KIND
from pluginsandbox.controller.cluster import Cluster
from pluginsandbox.controller.errors import ControllerError
from pluginsandbox.controller.kinds import EVENT, FIELD_MANAGER, Key

log = structlog.get_logger()

REPEAT_SECONDS = 600.0
REMEMBERED = 1024
QUEUED = 256
BURST = 20
PER_SECOND = 5.0
MAX_NOTE = 1000
"""Bytes of a note that the API server takes are 1024."""

EventType = Literal["Normal", "Warning"]


@dataclasses.dataclass(frozen=True, slots=True)
class Announcement:
    """Something that people should learn about a sandbox.

    Args:
        type: Normal or Warning.
        reason: In one word.
        action: What the operator was doing, in one word.
        note: For a person.

    """

    type: EventType
    reason: str
    action: str
    note: str


@dataclasses.dataclass(slots=True)
class _Series:
    name: str
    namespace: str
    count: int
    sent_at: float


class Recorder:
    """Posts announcements as Events.

    Args:
        cluster: Where to post.
        identity: Name of this process.
        clock: Monotonic seconds.

    """

    def __init__(self, cluster: Cluster, identity: str, clock: Callable[[], float]) -> None:
        self._cluster = cluster
        self._identity = identity
        self._clock = clock
        self._series: OrderedDict[tuple[str, Announcement], _Series] = OrderedDict()
        self._queue: asyncio.Queue[tuple[Key, str, Announcement]] = asyncio.Queue(QUEUED)
        self._tokens = float(BURST)
        self._filled_at = clock()

    def announce(self, key: Key, uid: str, what: Announcement) -> None:
        """Post soon, unless the same was posted lately; never waits."""
        series = self._series.get((uid, what))
        if series is not None:
            series.count += 1
            if self._clock() - series.sent_at < REPEAT_SECONDS:
                return
        try:
            self._queue.put_nowait((key, uid, what))
        except asyncio.QueueFull:
            log.warning("event dropped", sandbox=str(key), reason=what.reason)

    async def run(self) -> None:
        """Post what is announced until cancelled."""
        while True:
            key, uid, what = await self._queue.get()
            await self._pace()
            try:
                await self._post(key, uid, what)
            except ControllerError as error:
                log.info("event not posted", sandbox=str(key), reason=what.reason, error=str(error))

    async def _post(self, key: Key, uid: str, what: Announcement) -> None:
        now = dt.datetime.now(dt.UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        series = self._series.get((uid, what))
        if series is not None:
            series.sent_at = self._clock()
            body = {"series": {"count": series.count, "lastObservedTime": now}}
            await self._cluster.merge(EVENT, series.namespace, series.name, body)
            return
        name = f"{key.name}.{secrets.token_hex(8)}"
        self._series[uid, what] = _Series(name, key.namespace, 1, self._clock())
        while len(self._series) > REMEMBERED:
            self._series.popitem(last=False)
        await self._cluster.create(EVENT, self._event(key, uid, what, name, now))

    def _event(self, key: Key, uid: str, what: Announcement, name: str, now: str) -> dict[str, Any]:
        return {
            "apiVersion": EVENT.api_version,
            "kind": EVENT.name,
            "metadata": {"name": name, "namespace": key.namespace},
            "eventTime": now,
            "reportingController": FIELD_MANAGER,
            "reportingInstance": self._identity[:128],
            "type": what.type,
            "reason": what.reason,
            "action": what.action,
            "note": what.note[:MAX_NOTE],
            "regarding": {
                "apiVersion": API_VERSION,
                "kind": KIND,
                "namespace": key.namespace,
                "name": key.name,
                "uid": uid,
            },
        }

    async def _pace(self) -> None:
        now = self._clock()
        self._tokens = min(float(BURST), self._tokens + (now - self._filled_at) * PER_SECOND)
        self._filled_at = now
        if self._tokens < 1.0:
            await asyncio.sleep((1.0 - self._tokens) / PER_SECOND)
            self._tokens += 1.0
        self._tokens -= 1.0
