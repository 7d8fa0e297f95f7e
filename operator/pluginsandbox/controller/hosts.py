"""Reads `/stats` of sandbox pods: the second rim of the controller, towards untrusted hosts.

Hosts run next to other people's code: an answer is bounded in time and size, checked against its
schema, and a host that does not answer costs little, since it is asked ever more rarely.
"""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Callable, Hashable, Sequence

import aiohttp
import msgspec

from pluginsandbox.api import host_stats
from pluginsandbox.api.host_stats import HostStats
from pluginsandbox.controller.children.common import ADMIN_PORT
from pluginsandbox.controller.kinds import Key
from pluginsandbox.controller.trim import Body

TOTAL_SECONDS = 1.0
CONNECT_SECONDS = 0.25
FRESH_SECONDS = 30.0
"""What was read is believed for so long, unless the pod changed."""
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


class Hosts:
    """What hosts told, by sandbox and by the uid of their pod.

    Args:
        clock: Monotonic seconds.
        port: Where hosts answer.

    """

    def __init__(self, clock: Callable[[], float], port: int = ADMIN_PORT) -> None:
        self._clock = clock
        self._port = port
        self._hosts: dict[Key, dict[str, _Host]] = {}
        self._session: aiohttp.ClientSession | None = None

    async def read(self, key: Key, pods: Sequence[tuple[Body, bool]]) -> dict[str, HostStats]:
        """Return what the hosts of a sandbox tell, asking those of which little is known.

        Of many hosts not all are asked in one go: the others come next time.

        Args:
            key: Of the sandbox.
            pods: Running pods with an address, and whether each takes calls.

        Returns:
            By the uid of the pod; one that was not read for 30 s is absent.

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

    def forget(self, key: Key) -> None:
        """Drop what is known of a sandbox that is gone."""
        self._hosts.pop(key, None)

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()

    def _is_due(self, host: _Host, pod: Body, *, ready: bool) -> bool:
        signature = (ready, _restarts(pod))
        now = self._clock()
        if signature != host.signature:
            host.signature, host.next_try, host.failures = signature, now, 0
        return now >= host.next_try

    def _believed(self, host: _Host) -> HostStats | None:
        recent = self._clock() - host.read_at <= FRESH_SECONDS
        return host.stats if recent or host.failures == 0 else None

    async def _ask(self, host: _Host, address: str, fresh: float, room: asyncio.Semaphore) -> None:
        try:
            async with room:
                host.stats = await self._fetch(address)
        except (aiohttp.ClientError, TimeoutError, OSError, msgspec.DecodeError, ValueError):
            host.failures += 1
            pause = FIRST_PAUSE_SECONDS * 2.0 ** min(host.failures - 1, 8)
            host.next_try = self._clock() + min(pause, LAST_PAUSE_SECONDS)
        else:
            host.failures = 0
            host.read_at = self._clock()
            host.next_try = host.read_at + fresh

    async def _fetch(self, address: str) -> HostStats:
        if self._session is None:
            # A host is asked rarely: a kept connection would only be one more open file.
            connector = aiohttp.TCPConnector(force_close=True, limit=64)
            self._session = aiohttp.ClientSession(
                connector=connector,
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=aiohttp.ClientTimeout(total=TOTAL_SECONDS, sock_connect=CONNECT_SECONDS),
            )
        host = f"[{address}]" if ":" in address else address
        url = f"http://{host}:{self._port}/stats"
        async with self._session.get(url, allow_redirects=False) as answer:
            if answer.status != 200:  # noqa: PLR2004 - the one that carries statistics
                raise ValueError(f"/stats answered {answer.status}")
            data = await answer.content.read(host_stats.MAX_BYTES + 1)
            while len(data) <= host_stats.MAX_BYTES:
                more = await answer.content.read(host_stats.MAX_BYTES + 1 - len(data))
                if not more:
                    return host_stats.decode(data)
                data += more
        raise ValueError(f"/stats is over {host_stats.MAX_BYTES} bytes")


def _restarts(pod: Body) -> tuple[int, ...]:
    containers = pod["status"].get("containerStatuses") or ()
    return tuple(int(each.get("restartCount") or 0) for each in containers)
