from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator

import pytest

from pluginsandbox.host.outbox import Outbox

MANY = 400
SIZE = 20_000


class Pair:
    def __init__(self) -> None:
        self.ours, self.theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.ours.setblocking(False)
        self.theirs.setblocking(False)
        self.errors: list[OSError] = []
        self.outbox = Outbox(self.ours, asyncio.get_running_loop(), self.errors.append)

    async def received(self, count: int) -> list[tuple[bytes, bytes]]:
        """Return messages, each with the content of the file that came with it."""
        found: list[tuple[bytes, bytes]] = []
        async with asyncio.timeout(10):
            while len(found) < count:
                try:
                    data, files, _, _ = socket.recv_fds(self.theirs, SIZE, 1)
                except BlockingIOError:
                    await asyncio.sleep(0)
                    continue
                found.append((data, b"".join(os.pread(file, 100, 0) for file in files)))
                for file in files:
                    os.close(file)
        return found


@pytest.fixture
async def pair() -> AsyncIterator[Pair]:
    pair = Pair()
    yield pair
    pair.outbox.close()
    pair.ours.close()
    pair.theirs.close()


def file(content: bytes) -> int:
    descriptor = os.memfd_create("test")
    os.write(descriptor, content)
    return descriptor


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))  # noqa: PTH208


async def test_more_than_the_socket_holds_arrives_in_order(pair: Pair) -> None:
    before = open_files()
    expected = []
    for number in range(MANY):
        data = str(number).encode() * (SIZE // 10)
        content = str(number).encode()
        if number % 3:
            pair.outbox.send(data[:SIZE])
            expected.append((data[:SIZE], b""))
        else:
            pair.outbox.send(data[:SIZE], file(content))
            expected += [(data[:SIZE], b""), (b"\0", content)]
    assert await pair.received(len(expected)) == expected
    assert open_files() == before


async def test_what_waits_is_forgotten_and_its_files_closed(pair: Pair) -> None:
    before = open_files()
    while open_files() < before + 20:
        pair.outbox.send(bytes(SIZE), file(b""))
    pair.outbox.close()
    assert open_files() == before
    pair.outbox.send(b"late", file(b""))
    assert open_files() == before


async def test_a_closed_end_is_no_error(pair: Pair) -> None:
    before = open_files()
    pair.theirs.close()
    pair.outbox.send(b"x", file(b""))
    assert not pair.errors
    assert open_files() == before - 1


async def test_an_error_is_told_once_and_nothing_stays_open(pair: Pair) -> None:
    before = open_files()
    pair.outbox.send(bytes(1 << 20))  # larger than any message
    pair.outbox.close()
    pair.outbox.send(b"x", file(b""))
    assert [error.strerror for error in pair.errors] == ["Message too long"]
    assert open_files() == before
