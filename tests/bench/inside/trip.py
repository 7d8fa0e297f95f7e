"""From the host's loop to a worker and back, beside a bare echo over the same loop.

The echo is as little as the one frame needs: a blocking child that decodes a `Call` and encodes a
`Result`, and a reader of the loop that does the reverse. Ours has all the rest: the table of open
calls, the checks of what a worker says, typed arguments, the deadline, the binding.
"""

from __future__ import annotations

import asyncio
import itertools
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Protocol

import msgspec

from pluginsandbox.api.host_config import HostConfig
from pluginsandbox.host.frames import FRAME_BYTES, Bind, Call, FromWorker, Result, ToWorker
from pluginsandbox.host.python_worker import PythonWorker
from pluginsandbox.host.runtime import Worker
from tests.bench import processes
from tests.bench.inside import bed
from tests.bench.load import body

ROUNDS = 5
TRIPS = 2000
WINDOW = 16
"""Calls under way when the rate is measured."""
CONTEXT = 7


class Way(Protocol):
    """One way to a child and back."""

    on_answer: Callable[[], None]

    @property
    def pid(self) -> int:
        """The child."""

    def send(self, payload: bytes) -> None:
        """Send a call; `on_answer` follows."""


class Bare:
    """The echo.

    Args:
        channel: Socket to the child.
        pid: The child.

    """

    def __init__(self, channel: socket.socket, pid: int) -> None:
        self.pid = pid
        self.on_answer: Callable[[], None] = lambda: None
        self._socket = channel
        self._numbers = itertools.count(1)
        self._buffer = bytearray(FRAME_BYTES)
        self._view = memoryview(self._buffer)
        self._encode = msgspec.msgpack.Encoder().encode
        self._decode = msgspec.msgpack.Decoder(FromWorker).decode
        asyncio.get_running_loop().add_reader(channel.fileno(), self._on_readable)

    def send(self, payload: bytes) -> None:
        """Send a call."""
        call = Call(next(self._numbers), 0, 0, CONTEXT, 10**6, 0, "", payload)
        self._socket.send(self._encode(call))

    def close(self) -> None:
        """Hear no more."""
        asyncio.get_running_loop().remove_reader(self._socket.fileno())

    def _on_readable(self) -> None:
        self._decode(self._view[: self._socket.recv_into(self._buffer)])
        self.on_answer()


class Ours(bed.Heard):
    """A worker, as a lane of the host sees it."""

    def __init__(self) -> None:
        self.on_answer: Callable[[], None] = lambda: None
        self.worker: PythonWorker | None = None
        self.ready = asyncio.get_running_loop().create_future()
        self._numbers = itertools.count(1)

    @property
    def pid(self) -> int:
        """The child."""
        return 0 if self.worker is None else self.worker.pid

    def send(self, payload: bytes) -> None:
        """Send a call; the first one binds."""
        number = next(self._numbers)
        assert self.worker is not None
        self.worker.call(
            call=number,
            function=0,
            context=CONTEXT,
            timeout_microseconds=10**6,
            codec=0,
            traceparent="",
            body=payload,
            bind=Bind("", "context", CONTEXT) if number == 1 else None,
        )

    def on_result(self, worker: Worker, result: Result, body: bytes) -> None:
        """An answer."""
        del worker, result, body
        self.on_answer()

    def on_ready(self, worker: Worker) -> None:
        """It serves."""
        del worker
        self.ready.set_result(None)


async def measure() -> dict[str, object]:
    """Return microseconds of every trip and calls a second, by payload and way, round by round."""
    with bed.echo() as plugin:
        config = HostConfig(namespace="bench", sandbox="bench", plugins=(plugin,))
        async with bed.runtime(config) as runtime:
            ours = Ours()
            ours.worker = runtime.spawn(await runtime.prepare(0, plugin), ours)
            await ours.ready
            channel, child = _echo()
            bare = Bare(channel, child.pid)
            ways: dict[str, Way] = {"bare": bare, "ours": ours}
            found = {str(size): await _rounds(ways, body(size).encode()) for size in (100, 4096)}
            bare.close()
            child.kill()
            child.wait()
            return {"trip": found, "pair": _pair()}


async def _rounds(ways: dict[str, Way], payload: bytes) -> dict[str, list[dict[str, object]]]:
    found: dict[str, list[dict[str, object]]] = {name: [] for name in ways}
    for _ in range(ROUNDS):
        for name, way in ways.items():
            await _trips(way, payload, TRIPS // 10)
            before = _cpu(way)
            trips = await _trips(way, payload, TRIPS)
            host, child = (b - a for a, b in zip(before, _cpu(way), strict=True))
            rate = await _rate(way, payload, 2 * TRIPS)
            found[name].append({"trips": trips, "rate": rate, "host": host, "child": child})
    return found


def _cpu(way: Way) -> tuple[float, float]:
    """Return microseconds of CPU for each of `TRIPS`, of the host and of the child."""
    scale = 1e6 / TRIPS
    return time.process_time() * scale, processes.cpu_seconds(way.pid) * scale


async def _trips(way: Way, payload: bytes, count: int) -> list[float]:
    """Return the microseconds of trips, one after the other."""
    took: list[float] = []
    over = asyncio.get_running_loop().create_future()
    clock, sent = time.perf_counter, 0.0

    def answered() -> None:
        nonlocal sent
        now = clock()
        took.append((now - sent) * 1e6)
        if len(took) == count:
            over.set_result(None)
            return
        sent = clock()
        way.send(payload)

    way.on_answer = answered
    sent = clock()
    way.send(payload)
    await over
    return took


async def _rate(way: Way, payload: bytes, count: int) -> float:
    """Return calls a second with `WINDOW` under way."""
    over = asyncio.get_running_loop().create_future()
    sent = answers = 0

    def answered() -> None:
        nonlocal sent, answers
        answers += 1
        if sent < count:
            sent += 1
            way.send(payload)
        elif answers == count:
            over.set_result(None)

    way.on_answer = answered
    began = time.perf_counter()
    for _ in range(WINDOW):
        sent += 1
        way.send(payload)
    await over
    return count / (time.perf_counter() - began)


def _echo() -> tuple[socket.socket, subprocess.Popen[bytes]]:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.setblocking(False)
    with theirs:
        words = (sys.executable, "-m", "tests.bench.inside.trip", str(theirs.fileno()))
        return ours, subprocess.Popen(words, pass_fds=(theirs.fileno(),))


def _pair() -> list[float]:
    """Return the microseconds of trips over a blocking pair: no loop at all."""
    channel, child = _echo()
    channel.setblocking(True)
    payload = body(100).encode()
    encode = msgspec.msgpack.Encoder().encode
    decode = msgspec.msgpack.Decoder(FromWorker).decode
    took = []
    for number in range(TRIPS):
        began = time.perf_counter()
        channel.send(encode(Call(number, 0, 0, CONTEXT, 10**6, 0, "", payload)))
        decode(channel.recv(FRAME_BYTES))
        took.append((time.perf_counter() - began) * 1e6)
    child.kill()
    child.wait()
    return took


def child(descriptor: int) -> None:
    """Be the echo until the other end is closed."""
    channel = socket.socket(fileno=descriptor)
    encode = msgspec.msgpack.Encoder().encode
    decode = msgspec.msgpack.Decoder(ToWorker).decode
    buffer = bytearray(FRAME_BYTES)
    view = memoryview(buffer)
    while size := channel.recv_into(buffer):
        frame = decode(view[:size])
        assert isinstance(frame, Call)
        channel.send(encode(Result(frame.call, frame.codec, frame.body)))


if __name__ == "__main__":
    child(int(sys.argv[1]))
