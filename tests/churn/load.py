"""Binds and reclaims as fast as pipelined connections carry them; each answer is looked at."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from itertools import islice

CONNECTIONS = 8
AHEAD = 64
"""Requests that a connection sends before it reads: below the host's bound of bytes sent ahead."""
OK = b"HTTP/1.1 200 OK\r\n"

_CALL = (
    b"POST /v1/plugins/%b/functions/add HTTP/1.1\r\nHost: churn\r\n%bContent-Length: 2\r\n\r\n{}"
)
_DELETE = b"DELETE /v1/contexts/%b HTTP/1.1\r\nHost: churn\r\n\r\n"


def fresh(plugin: str) -> bytes:
    """Return a call that names no context: its binding is reclaimed when it has returned."""
    return _CALL % (plugin.encode(), b"")


def named(plugin: str, context: str) -> bytes:
    """Return a call in a context of its own."""
    return _CALL % (plugin.encode(), b"Sandbox-Context: %b\r\n" % context.encode())


def release(context: str) -> bytes:
    """Return the release of a context."""
    return _DELETE % context.encode()


def mixed(plugin: str, first: int, count: int) -> Iterator[bytes]:
    """Return requests that bind and reclaim `count` times, half of them in named contexts."""
    for number in range(first, first + count):
        if number % 2:
            yield fresh(plugin)
        else:
            yield named(plugin, f"c-{number}")
            yield release(f"c-{number}")


async def send(address: tuple[str, int], shares: list[Iterator[bytes]]) -> None:
    """Send each share over a connection of its own, and wait for all answers.

    Raises:
        AssertionError: An answer was not 200.

    """
    await asyncio.gather(*(_share(address, share) for share in shares))


def spread(
    make: Callable[[int, int], Iterator[bytes]], first: int, count: int
) -> list[Iterator[bytes]]:
    """Share `count` numbers out over the connections."""
    each, rest = divmod(count, CONNECTIONS)
    sizes = [each + (index < rest) for index in range(CONNECTIONS)]
    starts = [first + sum(sizes[:index]) for index in range(CONNECTIONS)]
    return [make(start, size) for start, size in zip(starts, sizes, strict=True)]


async def _share(address: tuple[str, int], requests: Iterator[bytes]) -> None:
    reader, writer = await asyncio.open_connection(*address)
    try:
        while batch := list(islice(requests, AHEAD)):
            writer.write(b"".join(batch))
            received = b""
            while received.count(OK) < len(batch) or not _whole(received):
                data = await reader.read(1 << 16)
                assert data, f"the host closed a connection: {received[-500:]!r}"
                received += data
                assert received.count(b"HTTP/1.1 ") == received.count(OK), received[-1000:].decode()
    finally:
        writer.close()
        await writer.wait_closed()


def _whole(received: bytes) -> bool:
    """Whether the last answer is complete."""
    head, _, body = received[received.rindex(OK) :].partition(b"\r\n\r\n")
    length = head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
    return length.isdigit() and len(body) == int(length)
