"""What hosts tell of their plugins and their wall, remembered by sandbox and pod.

A host that does not answer costs little, since it is asked ever more rarely.
"""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Callable, Hashable, Sequence

from pluginsandbox.api import host_stats
from pluginsandbox.api.host_stats import HostStats
from pluginsandbox.controller.children.common import ADMIN_PORT
from pluginsandbox.controller.kinds import Key
from pluginsandbox.controller.stats_door import StatsDoor, UnreadableError
from pluginsandbox.controller.trim import Body

FRESH_SECONDS = 30.0
"""What was read is believed for so long, unless the pod changed, and so long after the first try
that failed: a host that is asked once in two minutes may miss one."""
UNREADY_FRESH_SECONDS = 2.0
"""The same for a pod that is not ready: its host may still find out why."""
FIRST_PAUSE_SECONDS = 2.0
LAST_PAUSE_SECONDS = 60.0
MOST_ASKED = 64
"""Of a sandbox's hosts in one go, those of which least is known first."""
AT_ONCE = 16
"""Requests to the hosts of one sandbox at the same time."""


@dataclasses.dataclass(slots=True)
class _Host:
    signature: Hashable = None
    stats: HostStats | None = None
    read_at: float = float("-inf")
    next_try: float = float("-inf")
    failures: int = 0
    failing_since: float = 0.0


class Hosts:
    """What hosts told, by sandbox and by the uid of their pod.

    Args:
        clock: Monotonic seconds.
        port: Where hosts answer.

    """

    def __init__(self, clock: Callable[[], float], port: int = ADMIN_PORT) -> None:
        self._clock = clock
        self._door = StatsDoor(port)
        self._hosts: dict[Key, dict[str, _Host]] = {}

    async def read(self, key: Key, pods: Sequence[tuple[Body, bool]]) -> dict[str, HostStats]:
        """Return what the hosts of a sandbox tell, asking those of which little is known.

        Of many hosts not all are asked in one go: the others come next time.

        Args:
            key: Of the sandbox.
            pods: Running pods with an address, and whether each takes calls.

        Returns:
            By the uid of the pod; one that was asked in vain for 30 s is absent.

        """
        known = self._hosts.get(key, {})
        self._hosts[key] = {
            pod["metadata"]["uid"]: known.get(pod["metadata"]["uid"], _Host()) for pod, _ in pods
        }
        hosts = self._hosts[key]
        due = [
            (host, str(pod["status"]["podIP"]), FRESH_SECONDS if ready else UNREADY_FRESH_SECONDS)
            for pod, ready in pods
            if self._is_due(host := hosts[pod["metadata"]["uid"]], pod, ready=ready)
        ]
        due.sort(key=lambda each: each[0].read_at)
        room = asyncio.Semaphore(AT_ONCE)
        await asyncio.gather(*(self._ask(*each, room) for each in due[:MOST_ASKED]))
        return {uid: stats for uid, host in hosts.items() if (stats := self._believed(host))}

    def failing(self, key: Key) -> bool:
        """Tell whether a host of the sandbox did not answer when it was asked last."""
        return any(host.failures for host in self._hosts.get(key, {}).values())

    def unsure(self, key: Key) -> bool:
        """Tell whether a host was only asked in vain so far, and for less than 30 s."""
        since = self._clock() - FRESH_SECONDS
        hosts = self._hosts.get(key, {}).values()
        return any(
            host.failures and host.stats is None and host.failing_since >= since for host in hosts
        )

    def forget(self, key: Key) -> None:
        """Drop what is known of a sandbox that is gone."""
        self._hosts.pop(key, None)

    async def close(self) -> None:
        """Close the connections."""
        await self._door.close()

    def _is_due(self, host: _Host, pod: Body, *, ready: bool) -> bool:
        signature = (ready, _restarts(pod))
        now = self._clock()
        if signature != host.signature:
            host.signature, host.next_try, host.failures = signature, now, 0
        return now >= host.next_try

    def _believed(self, host: _Host) -> HostStats | None:
        doubted = host.failures and self._clock() - host.failing_since > FRESH_SECONDS
        return None if doubted else host.stats

    async def _ask(self, host: _Host, address: str, fresh: float, room: asyncio.Semaphore) -> None:
        try:
            async with room:
                host.stats = await self._door.read(address, host_stats.decode)
        except UnreadableError:
            host.failing_since = host.failing_since if host.failures else self._clock()
            host.failures += 1
            pause = FIRST_PAUSE_SECONDS * 2.0 ** min(host.failures - 1, 8)
            host.next_try = self._clock() + min(pause, LAST_PAUSE_SECONDS)
        else:
            host.failures = 0
            host.read_at = self._clock()
            host.next_try = host.read_at + fresh


def _restarts(pod: Body) -> tuple[int, ...]:
    containers = pod["status"].get("containerStatuses") or ()
    return tuple(int(each.get("restartCount") or 0) for each in containers)
