"""Leader election by a Lease: one process writes, the others keep their caches warm.

A Lease cannot fence: a request that is on its way when the Lease is lost still arrives. So nothing
*starts* once the last renewal is older than the renew deadline, which is shorter than the duration
after which others may take over; all by monotonic clocks, counted from before the renewal was sent.
"""

from __future__ import annotations

import asyncio
import dataclasses
import datetime as dt
from collections.abc import Callable
from typing import Any

import structlog

from pluginsandbox.controller.cluster import Cluster
from pluginsandbox.controller.errors import ControllerError, NotLeaderError
from pluginsandbox.controller.kinds import LEASE

DURATION_SECONDS = 15.0
RENEW_DEADLINE_SECONDS = 10.0
RETRY_SECONDS = 2.0
LOOK_SECONDS = 1.0

log = structlog.get_logger()


@dataclasses.dataclass(frozen=True, kw_only=True)
class LeaseTimes:
    """Seconds of the election; retry < deadline < duration - look.

    Args:
        duration: After the last renewal that others saw they may take over.
        deadline: After its last renewal the leader starts no write.
        retry: Between renewals.
        look: Between the looks of those who wait. They are two looks early, as to take over and to
            write takes time, too: a leader that is killed is followed within the duration.

    Raises:
        ValueError: They are not in that order.

    """

    duration: float = DURATION_SECONDS
    deadline: float = RENEW_DEADLINE_SECONDS
    retry: float = RETRY_SECONDS
    look: float = LOOK_SECONDS

    def __post_init__(self) -> None:
        if not 0 < self.retry < self.deadline < self.duration - self.look:
            raise ValueError("lease times must be ordered: 0 < retry < deadline < duration - look")

    def free_at(self, before: float, seen: float, duration: float) -> float:
        """Return when a Lease that somebody holds may be taken.

        Args:
            before: Start of the last look that did not show the renewal yet: it came after that,
                however long a busy machine took for the next look.
            seen: End of the first look that did: the holder sent the renewal before that.
            duration: That the holder asks for.

        """
        return max(before + duration - 2 * self.look, seen + self.deadline + self.look)


class Lease:
    """One candidate.

    Args:
        cluster: Where the Lease lives; its gate must not be this Lease's.
        namespace: Namespace of the Lease.
        name: Name of the Lease.
        identity: Name of this process, unlike any other's.
        clock: Monotonic seconds.
        times: Seconds of the election.
        on_change: Told True when leading starts and False when it ends.

    """

    def __init__(
        self,
        cluster: Cluster,
        *,
        namespace: str,
        name: str,
        identity: str,
        clock: Callable[[], float],
        times: LeaseTimes | None = None,
        on_change: Callable[[bool], None] = lambda _: None,
    ) -> None:
        self._cluster = cluster
        self._namespace = namespace
        self._name = name
        self._identity = identity
        self._clock = clock
        self._times = times or LeaseTimes()
        self._on_change = on_change
        self._renewed = float("-inf")
        self._leading = False
        self._version = ""
        self._looked = float("-inf")
        self._free_at = float("-inf")
        self._acquired = asyncio.Event()

    @property
    def held(self) -> bool:
        """Whether a write may start now."""
        return self._clock() < self._renewed + self._times.deadline

    def gate(self) -> None:
        """Let a write start.

        Raises:
            NotLeaderError: It may not.

        """
        if not self.held:
            raise NotLeaderError("this process does not hold the Lease")

    async def wait_held(self) -> None:
        """Return once a write may start."""
        while not self.held:
            self._acquired.clear()
            await self._acquired.wait()

    async def run(self) -> None:
        """Acquire and renew until cancelled."""
        while True:
            started = self._clock()
            try:
                async with asyncio.timeout(self._times.deadline / 2):
                    mine = await self._attempt(started)
            except (ControllerError, TimeoutError) as error:
                log.warning("lease not renewed", lease=self._name, error=str(error))
            else:
                self._renewed = started if mine else float("-inf")
                if mine:
                    self._acquired.set()
            self._tell()
            await asyncio.sleep(self._pause())

    async def release(self) -> None:
        """Let another process lead at once; call when no write is on its way any more.

        The Lease is read first: a renewal that was cut short may have arrived.
        """
        if not self.held:
            return
        self._renewed = float("-inf")
        self._tell()
        try:
            async with asyncio.timeout(self._times.retry):
                await self._give_back()
        except (ControllerError, TimeoutError) as error:
            log.warning("lease not released", lease=self._name, error=str(error))

    async def _give_back(self) -> None:
        body = await self._cluster.get(LEASE, self._namespace, self._name)
        spec = (body or {}).get("spec") or {}
        if body is not None and spec.get("holderIdentity") == self._identity:
            freed = spec | {"holderIdentity": "", "leaseDurationSeconds": 1}
            await self._cluster.replace(LEASE, body | {"spec": freed})

    def _pause(self) -> float:
        """Return the seconds to the next attempt, at most to one's own or another's end."""
        times = self._times
        most = times.retry if self._leading else times.look
        end = self._renewed + times.deadline if self._leading else self._free_at
        left = end - self._clock()
        return min(most, left) if left > 0 else most

    def _tell(self) -> None:
        if self.held != self._leading:
            self._leading = self.held
            log.info("leading" if self._leading else "not leading", lease=self._name)
            self._on_change(self._leading)

    async def _attempt(self, now: float) -> bool:
        body = await self._cluster.get(LEASE, self._namespace, self._name)
        if body is None:
            return await self._create()
        spec = body.get("spec") or {}
        holder = spec.get("holderIdentity") or ""
        version = body["metadata"]["resourceVersion"]
        if version != self._version:
            before, seen = self._looked if self._version else now, self._clock()
            duration = float(spec.get("leaseDurationSeconds") or 0)
            self._version, self._free_at = version, self._times.free_at(before, seen, duration)
        self._looked = now
        expired = not holder or now >= self._free_at
        if holder != self._identity and not expired:
            return False
        mine = await self._cluster.replace(LEASE, self._renewal(body, holder))
        self._version = mine["metadata"]["resourceVersion"]
        return True

    async def _create(self) -> bool:
        metadata = {"namespace": self._namespace, "name": self._name}
        body = {"apiVersion": LEASE.api_version, "kind": LEASE.name, "metadata": metadata}
        await self._cluster.create(LEASE, self._renewal(body, ""))
        return True

    def _renewal(self, body: dict[str, Any], holder: str) -> dict[str, Any]:
        spec = dict(body.get("spec") or {})
        now = dt.datetime.now(dt.UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        if holder != self._identity:
            spec["leaseTransitions"] = int(spec.get("leaseTransitions") or 0) + 1
            spec["acquireTime"] = now
        spec |= {
            "holderIdentity": self._identity,
            "leaseDurationSeconds": round(self._times.duration),
            "renewTime": now,
        }
        return body | {"spec": spec}
