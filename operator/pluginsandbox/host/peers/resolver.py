"""Where the addresses of a sandbox's pods come from: the cluster's DNS, or a file on a laptop."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path

Resolver = Callable[[], Awaitable[frozenset[str]]]

RESOLVE_SECONDS = 5.0


def by_name(service: str, own: str) -> Resolver:
    """Return what resolves a headless Service to the addresses of its pods, ready or not.

    Args:
        service: Its name.
        own: Address of this pod; the others' are of the same family, and no other is asked for.

    """
    family = socket.AF_INET6 if ":" in own else socket.AF_INET

    async def resolve() -> frozenset[str]:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(RESOLVE_SECONDS):
                found = await loop.getaddrinfo(
                    service, None, family=family, type=socket.SOCK_STREAM
                )
        except OSError:  # no such name yet, or no answer in time
            return frozenset()
        return frozenset(str(where[0]) for *_, where in found)

    return resolve


def by_file(path: Path) -> Resolver:
    """Return what reads addresses from a file, one a line."""

    async def resolve() -> frozenset[str]:
        try:
            return frozenset(path.read_text().split())  # noqa: ASYNC240 - a local line or two
        except OSError:
            return frozenset()

    return resolve
