"""Reads `/stats` of sandbox pods: the second rim of the controller, towards untrusted hosts.

Hosts run next to other people's code: an answer is bounded in time and size, checked against its
schema, and a host that does not answer costs little, since it is asked ever more rarely.
"""

from __future__ import annotations

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
        told = {}
        for pod, ready in pods:
            uid = pod["metadata"]["uid"]
            stats = await self._read(self._hosts[key][uid], pod, ready=ready)
            if stats is not None:
                told[uid] = stats
        return told

    def forget(self, key: Key) -> None:
        """Drop what is known of a sandbox that is gone."""
        self._hosts.pop(key, None)

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()

    async def _read(self, host: _Host, pod: Body, *, ready: bool) -> HostStats | None:
        signature = (ready, _restarts(pod))
        now = self._clock()
        if signature != host.signature:
            host.signature, host.next_try, host.failures = signature, now, 0
        fresh = FRESH_SECONDS if ready else UNREADY_FRESH_SECONDS
        if now >= host.next_try:
            await self._ask(host, str(pod["status"]["podIP"]), fresh)
        recent = self._clock() - host.read_at <= FRESH_SECONDS
        return host.stats if recent or host.failures == 0 else None

    async def _ask(self, host: _Host, address: str, fresh: float) -> None:
        try:
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
