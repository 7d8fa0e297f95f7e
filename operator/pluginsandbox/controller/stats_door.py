"""Reads `/stats` of one pod: the second rim of the controller, towards untrusted hosts.

Hosts run next to other people's code: an answer is bounded in time and size, and checked against
its schema.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import aiohttp
import msgspec

from pluginsandbox.api import host_stats

TOTAL_SECONDS = 1.0
CONNECT_SECONDS = 0.25

T = TypeVar("T")


class UnreadableError(Exception):
    """A host gives no answer that can be believed; the message says why."""


class StatsDoor:
    """Asks hosts.

    Args:
        port: Where hosts answer.
        seconds: In which an answer must be complete.
        connections: At the same time; further ones wait, within their seconds.

    """

    def __init__(self, port: int, seconds: float = TOTAL_SECONDS, connections: int = 64) -> None:
        self._port = port
        self._seconds = seconds
        self._connections = connections
        self._session: aiohttp.ClientSession | None = None

    async def read(self, address: str, decode: Callable[[bytes], T]) -> T:
        """Return what the host at an address tells.

        Args:
            address: Of the pod.
            decode: Reads the document, or the part of it that is wanted.

        Raises:
            UnreadableError: It does not answer, late, too much, or no such document.

        """
        try:
            return decode(await self._fetch(address))
        except (aiohttp.ClientError, TimeoutError, OSError, msgspec.DecodeError, ValueError) as why:
            raise UnreadableError(f"{type(why).__name__}: {why}") from why

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()

    async def _fetch(self, address: str) -> bytes:
        if self._session is None:
            # A kept connection to each pod would only be one more open file.
            connector = aiohttp.TCPConnector(force_close=True, limit=self._connections)
            self._session = aiohttp.ClientSession(
                connector=connector,
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=aiohttp.ClientTimeout(total=self._seconds, sock_connect=CONNECT_SECONDS),
            )
        host = f"[{address}]" if ":" in address else address
        url = f"http://{host}:{self._port}/stats"
        async with self._session.get(url, allow_redirects=False) as answer:
            if answer.status != 200:  # noqa: PLR2004 - the one that carries statistics
                raise ValueError(f"/stats answered {answer.status}")
            return await _bounded(answer.content)


async def _bounded(content: aiohttp.StreamReader) -> bytes:
    data = b""
    while len(data) <= host_stats.MAX_BYTES:
        more = await content.read(host_stats.MAX_BYTES + 1 - len(data))
        if not more:
            return data
        data += more
    raise ValueError(f"/stats is over {host_stats.MAX_BYTES} bytes")
