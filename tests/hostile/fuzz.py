"""`make fuzz FRAMES=n`: damaged and forged frames for the host's decoder and for what acts on them.

Seeded, so that a failure comes again. Two ways: honest frames with damaged bytes, and well-formed
arrays of values that hurt. A fuzzer led by coverage (atheris) was tried and left out: the decoder
is C code without its hooks, so it sees only the few lines of Python around it.
"""

from __future__ import annotations

import asyncio
import collections
import contextlib
import gc
import itertools
import math
import os
import random
import resource
import socket
import subprocess
import sys
import time
from collections.abc import Iterator

import msgspec

from pluginsandbox.api.host_config import PluginConfig, PluginLimits
from pluginsandbox.host import incoming
from pluginsandbox.host.frames import Bind, Checkpoint, Failed, Log, Reclaimed, Result
from pluginsandbox.host.incoming import ProtocolError
from pluginsandbox.host.python_worker import PythonWorker
from pluginsandbox.host.runtime import Prepared, Worker, WorkerExit
from pluginsandbox.host.shelf import Shelf
from tests.hostile.honest import HONEST

SEED = 20261127
PLUGIN = PluginConfig("p", "", "", limits=PluginLimits(published_bytes=1 << 20))
# Small numbers are calls that are open; the rest is what has broken decoders before.
_VALUES: tuple[object, ...] = (
    *(0, 1, 2, 3, 4, 7, -1, 255, 65_536, 2**31, 2**32, 2**53, 2**63 - 1, 2**64 - 1, -(2**63)),
    *(0.0, -0.0, 0.5, math.nan, math.inf, -math.inf, 1e308),
    *(True, False, None, "", "x", "info", "Raised", "\0", "\ud7ff", "x" * 5000),
    *(b"", b"\x80", b"{}", b"x" * 300, [], [[]], {}, {"a": 1}, [1, 2, b"\x80", 0]),
)
_BYTES = bytes((0x00, 0x7F, 0x80, 0x90, 0x91, 0x9F, 0xC0, 0xC1, 0xC4, 0xC6, 0xCA, 0xCB, 0xCF))
_LENGTHS = tuple(bytes.fromhex(text) for text in ("dcffff", "ddffffffff", "dfffffffff", "c6ffffff"))
_encode = msgspec.msgpack.Encoder().encode


def frames(count: int, seed: int = SEED) -> Iterator[bytes]:
    """Yield so many frames, the same for the same seed."""
    chance = random.Random(seed)  # noqa: S311 - damage, not secrets
    honest = [_encode(frame) for frame in HONEST]
    pick, below = chance.choice, chance.randrange
    for _ in range(count):
        way = below(9)
        if way < 3:
            yield _encode([below(12), *(pick(_VALUES) for _ in range(below(9)))])
            continue
        data = bytearray(pick(honest))
        place = below(len(data))
        if way < 5:
            data[place] = below(256)
            data[below(len(data))] = pick(_BYTES)
        elif way == 5:
            data[place:place] = pick(_LENGTHS)
        elif way == 6:
            del data[place:]
        elif way == 7:
            data[place:] = pick(honest)[below(10) :]
        yield bytes(data)


def decode(count: int, seed: int = SEED) -> collections.Counter[str]:
    """Decode so many frames; count what became of them. Anything but an error of ours escapes."""
    found: collections.Counter[str] = collections.Counter()
    for data in frames(count, seed):
        try:
            frame = incoming.decode(data)
        except ProtocolError:
            found["refused"] += 1
        else:
            found[type(frame).__name__] += 1
            again = incoming.decode(_encode(frame))
            assert _encode(again) == _encode(frame)
    return found


class _Told:
    """What a worker's owner and its events are told: only what was asked for, and one end."""

    def __init__(self) -> None:
        self.ends: list[WorkerExit] = []
        self.heard: collections.Counter[str] = collections.Counter()
        self.open = set(OPEN_CALLS)
        self.shelf = Shelf((PLUGIN,))

    def forget(self, worker: PythonWorker) -> None:
        """Say nothing."""

    def out_of_memory(self) -> bool:
        """Say no."""
        return False

    def walled(self, worker: PythonWorker) -> bool:
        """Say yes."""
        return bool(worker.pid)

    def on_ready(self, worker: Worker) -> None:
        """Count."""
        self.heard["ready"] += 1

    def on_result(self, worker: Worker, result: Result, body: bytes) -> None:
        """Count; the call must be open, the payload within its bounds."""
        assert result.call in self.open
        assert len(body) <= worker.plugin.config.limits.result_bytes
        self.open.remove(result.call)
        self.heard["result"] += 1

    def on_failed(self, worker: Worker, failed: Failed) -> None:
        """Count; the call must be open."""
        self.open.remove(failed.call)
        self.heard["failed"] += 1

    def on_checkpoint(self, worker: Worker, call: int, point: Checkpoint, slots: object) -> None:
        """Count; the call must be open."""
        assert call in self.open
        assert point.n > 0
        self.heard["checkpoint"] += 1

    def on_reclaimed(self, worker: Worker, reclaimed: Reclaimed) -> None:
        """Count; it must have been asked for."""
        assert reclaimed.call == ERRAND
        self.heard["reclaimed"] += 1

    def on_log(self, worker: Worker, log: Log) -> None:
        """Count."""
        self.heard["log"] += 1

    def on_denied(self, worker: Worker, call: str) -> None:
        """Never: nothing was refused."""

    def on_exit(self, worker: Worker, end: WorkerExit) -> None:
        """Take the one end."""
        self.ends.append(end)


OPEN_CALLS = (1, 2)
ERRAND = 3
_MOST = 12
"""Frames for one worker, most of which does not live to hear the second."""


async def handle(count: int, seed: int = SEED) -> collections.Counter[str]:
    """Send so many frames to workers' host sides, in which calls are open; count what was heard."""
    heard: collections.Counter[str] = collections.Counter()
    # Whom a kill cannot hurt.
    gone = subprocess.Popen((sys.executable, "-S", "-c", ""))  # noqa: ASYNC220 - not asyncio's to reap
    pidfd = os.pidfd_open(gone.pid)
    gone.wait()
    source = frames(count, seed)
    while batch := list(itertools.islice(source, _MOST)):
        heard += await _worker(batch, gone.pid, os.dup(pidfd))
    os.close(pidfd)
    return heard


async def _worker(batch: list[bytes], pid: int, pidfd: int) -> collections.Counter[str]:
    told, loop = _Told(), asyncio.get_running_loop()
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.setblocking(False)
    theirs.setblocking(False)
    plugin = Prepared(0, PLUGIN, "", (), {})
    worker = PythonWorker(1, plugin, told, ours, loop, told)
    worker.spawned(pid, pidfd)
    theirs.send(_encode(HONEST[0]))
    worker._on_readable()
    for call in OPEN_CALLS:
        _call(worker, call)
    worker.reclaim(call=ERRAND, context=1, cause="Idle", timeout_microseconds=1)
    for data in batch:
        with contextlib.suppress(OSError):
            theirs.send(data)
    worker._on_readable()
    worker.kill()
    worker.gone(9)
    theirs.close()
    told.shelf.close()
    assert len(told.ends) == 1
    told.heard[told.ends[0].cause] += 1
    return told.heard


def _call(worker: PythonWorker, call: int) -> None:
    worker.call(
        call=call,
        function=0,
        context=1,
        timeout_microseconds=1,
        codec=0,
        traceparent="",
        body=b"{}",
        bind=Bind("", "a", 1),
    )


def descriptors() -> int:
    """Return how many this process has open."""
    return len(os.listdir("/proc/self/fd"))  # noqa: PTH208


def resident() -> int:
    """Return this process's resident memory in bytes."""
    gc.collect()
    with open("/proc/self/statm", "rb") as file:  # noqa: PTH123
        return int(file.read().split()[1]) * resource.getpagesize()


def main() -> int:
    """Run the long fuzz; return the exit status."""
    count = int(sys.argv[1])
    decode(count // 100)
    asyncio.run(handle(1000))
    before, opened, started = resident(), descriptors(), time.monotonic()
    step = max(count // 20, 1)
    total: collections.Counter[str] = collections.Counter()
    for number in range(0, count, step):
        total += decode(min(step, count - number), SEED + number)
        total += asyncio.run(handle(step // 50, SEED + number))
        print(f"{number + step:,} frames, {resident() >> 10} KiB resident", flush=True)
    seconds, grown = time.monotonic() - started, resident() - before
    print(dict(sorted(total.items())))
    print(
        f"frames={count} seconds={seconds:.0f} before={before >> 10}KiB "
        f"after={(before + grown) >> 10}KiB descriptors={descriptors() - opened:+d}"
    )
    # A decoder that kept a byte of each frame would have grown by more.
    return int(grown > max(count // 4, 4 << 20) or descriptors() != opened)


if __name__ == "__main__":
    sys.exit(main())
