"""The host's side of a worker: what it hears, what it believes, what it ends a worker for."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import sys
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import pytest

from pluginsandbox.api.host_config import PluginConfig
from pluginsandbox.host import kernel, memory, vitals
from pluginsandbox.host.frames import SEGMENT_BYTES, Loaded, Result, SegmentWanted
from pluginsandbox.host.python_worker import PythonWorker
from pluginsandbox.host.runtime import Prepared
from pluginsandbox.host.shelf import Shelf
from tests.integration.wall_bed import Recorder, until

LOADED = msgspec.msgpack.encode(Loaded((), 0.0, 0.0))
BUSY = "while True: pass"


@dataclass
class Owner:
    """Remembers whom it was told to forget."""

    behind_the_wall: bool = True
    gone: list[PythonWorker] = field(default_factory=list)
    shelf: Shelf = field(default_factory=lambda: Shelf(()))

    def forget(self, worker: PythonWorker) -> None:
        self.gone.append(worker)

    def out_of_memory(self) -> bool:
        return False

    def walled(self, worker: PythonWorker) -> bool:
        assert worker.pid
        return self.behind_the_wall


@dataclass
class Pair:
    """A worker's two ends, and a process that stands for it."""

    owner: Owner
    events: Recorder
    worker: PythonWorker
    theirs: socket.socket
    process: asyncio.subprocess.Process

    def born(self) -> None:
        self.worker.spawned(self.process.pid, os.pidfd_open(self.process.pid))


@contextlib.asynccontextmanager
async def pair(code: str = "input()", *, behind_the_wall: bool = True) -> AsyncIterator[Pair]:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.setblocking(False)
    owner, events = Owner(behind_the_wall), Recorder()
    prepared = Prepared(0, PluginConfig("p", "", ""), "", (), {})
    loop = asyncio.get_running_loop()
    worker = PythonWorker(1, prepared, events, ours, loop, owner)
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", code, stdin=-1)
    with theirs:
        yield Pair(owner, events, worker, theirs, process)
        worker.kill()
        if process.returncode is None:
            process.kill()
        worker.gone(-await process.wait())


async def test_a_worker_is_heard_once_its_process_is_known() -> None:
    async with pair() as it:
        it.theirs.send(LOADED)
        await asyncio.sleep(0)
        assert it.worker.loaded is None
        it.born()
        assert await it.events.ready
        assert it.worker.measured_bytes() > 0
    assert it.owner.gone == [it.worker]


async def test_one_that_says_that_it_serves_outside_the_wall_is_ended() -> None:
    async with pair(behind_the_wall=False) as it:
        it.theirs.send(LOADED)
        it.born()
        await it.process.wait()
        assert it.worker.loaded is None
    end = await it.events.end()
    assert (end.cause, end.detail) == (
        "Protocol",
        "it said that it serves before it was behind the whole wall",
    )


async def test_one_that_uses_the_cpu_with_nothing_to_do_is_ended_and_no_other() -> None:
    async with pair(BUSY) as busy, pair() as idle:
        for it in (busy, idle):
            it.theirs.send(LOADED)
            it.born()
            assert await it.events.ready
            it.worker.look()
        before = kernel.cpu_seconds(busy.process.pid)
        await until(lambda: kernel.cpu_seconds(busy.process.pid) > before + 0.2)
        for it in (busy, idle):
            it.worker.look()
        await busy.process.wait()
        assert idle.process.returncode is None
    end = await busy.events.end()
    assert (end.cause, end.detail) == ("Protocol", "it used the CPU although no call was with it")


async def test_one_that_has_a_call_may_use_the_cpu() -> None:
    async with pair(BUSY) as it:
        it.theirs.send(LOADED)
        it.born()
        assert await it.events.ready
        it.worker.look()
        it.worker.reclaim(call=1, context=1, cause="Idle", timeout_microseconds=1)
        before = kernel.cpu_seconds(it.process.pid)
        await until(lambda: kernel.cpu_seconds(it.process.pid) > before + 0.2)
        it.worker.look()
        assert it.process.returncode is None


async def test_one_that_names_another_segment_leaves_none_behind() -> None:
    before = payloads()
    async with pair() as it:
        it.theirs.send(LOADED)
        it.born()
        assert await it.events.ready
        it.worker.call(
            call=1,
            function=0,
            context=1,
            timeout_microseconds=1,
            codec=0,
            traceparent="",
            body=b"",
            bind=None,
        )
        it.theirs.send(msgspec.msgpack.encode(SegmentWanted(1, SEGMENT_BYTES)))
        await until(lambda: payloads() == before + 1)
        named = Result(1, 0, b"", segment=True, size=SEGMENT_BYTES + 1)
        it.theirs.send(msgspec.msgpack.encode(named))
        await it.process.wait()
    end = await it.events.end()
    assert (end.cause, end.detail) == ("Protocol", "it named a segment that it was not given")
    assert payloads() == before


def payloads() -> int:
    """Count the descriptors of payloads that the host has open."""
    links = [link for link in Path("/proc/self/fd").iterdir() if link.is_symlink()]
    return sum("pluginsandbox-payload" in str(link.readlink()) for link in links)


async def test_one_that_is_slow_to_measure_is_measured_less_often(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[int] = []

    def slowly(pid: int) -> int:
        asked.append(pid)
        time.sleep(0.03)
        return len(asked)

    monkeypatch.setattr(memory, "proportional_bytes", slowly)
    async with pair() as it:
        it.born()
        # For three seconds: however slow this machine, a thousand of them ask but now and then.
        assert {it.worker.measured_bytes() for _ in range(1000)} <= {1, 2}
        assert len(asked) <= 2


async def test_one_that_is_measured_quickly_is_measured_each_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sizes = iter(range(1, 4))
    monkeypatch.setattr(memory, "proportional_bytes", lambda _: next(sizes))
    monkeypatch.setattr(vitals, "SLOW_SECONDS", 60.0)
    async with pair() as it:
        it.born()
        assert [it.worker.measured_bytes() for _ in range(3)] == [1, 2, 3]


def test_the_kernel_counts_filters_and_time() -> None:
    assert kernel.filters(os.getpid()) is not None
    assert kernel.cpu_seconds(os.getpid()) > 0
    assert kernel.filters(0) is None
    assert kernel.cpu_seconds(2**22) == 0.0
