"""The way of a call into a real confined worker and back."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from pluginsandbox.api.host_config import PluginLimits
from pluginsandbox.host.frames import SEGMENT_BYTES, Failed
from tests.integration.wall_bed import Bed, descriptors, running, until

TALKATIVE = """
import logging, sys
from pluginsandbox.sdk import Plugin, function

print("while loading")

class Obedient(Plugin):
    @function
    def talk(self) -> None:
        print("to standard output")
        print("and not ended", end="")
        sys.stderr.write("to standard error\\n")
        logging.getLogger("shop").error("logged %d", 7)
        logging.debug("not this")
        sys.stdout.buffer.write("bytes, ünicode\\n".encode())

    @function
    def flood(self, lines: int) -> None:
        for number in range(lines):
            print("x" * 100_000)
"""

HOOKED = """
from pluginsandbox.sdk import Plugin, function, slot

class Obedient(Plugin):
    heard = slot(list[str], factory=list)

    def on_start(self):
        if self.context.id == "context-13":
            raise ValueError("no thirteen")

    def on_panic(self, error):
        self.heard.get().append(f"{type(error).__name__}: {error}")

    def on_exit(self, cause):
        print("exit", cause)
        if self.context.id == "context-7":
            raise RuntimeError("bad exit")

    @function
    def what_was_heard(self) -> list[str]:
        return self.heard.get()
"""

OPEN_DESCRIPTORS = """
import os
def is_open(number):
    try: os.fstat(number)
    except OSError: return False
    return True
out = sum(is_open(number) for number in range(64))
"""


@pytest.fixture
async def bed(tmp_path: Path) -> AsyncIterator[Bed]:
    async with running(tmp_path) as bed:
        yield bed


async def test_a_plugin_is_described_and_its_stages_timed(bed: Bed) -> None:
    prepared = await bed.prepare()
    assert [function.name for function in prepared.functions] == ["count_up", "echo", "run"]
    assert b'"text"' in prepared.functions[1].arguments_schema
    assert set(prepared.stage_seconds) == {"fetch", "verify", "load", "start"}
    assert all(0 <= seconds < 10 for seconds in prepared.stage_seconds.values())


async def test_contexts_keep_their_own_state(bed: Bed) -> None:
    worker = await bed.worker()
    answers = [await worker.call("count_up", context) for context in (1, 1, 2, 1, 2)]
    assert answers == [1, 2, 1, 3, 2]


async def test_answers_come_in_the_order_of_the_calls(bed: Bed) -> None:
    worker = await bed.worker()
    numbers = [worker.start("echo", text=str(number)) for number in range(200)]
    answers = [await asyncio.wait_for(worker.answers.get(), 20) for _ in numbers]
    assert answers == [(number, str(text)) for text, number in enumerate(numbers)]


async def test_more_calls_than_the_socket_holds_arrive_whole(bed: Bed) -> None:
    worker = await bed.worker()
    texts = [str(number) * 20_000 for number in range(40)]
    for text in texts:
        worker.start("echo", text=text)
    assert [await worker.answer() for _ in texts] == texts


@pytest.mark.parametrize("size", [SEGMENT_BYTES - 20, SEGMENT_BYTES, 200_000, (1 << 20) - 100])
async def test_payloads_of_any_size_go_and_come(bed: Bed, size: int) -> None:
    worker = await bed.worker()
    before = descriptors()
    text = os.urandom(size // 2).hex()
    for _ in range(3):
        assert await worker.call("echo", text=text) == text
    # The worker that prepared the plugin may still have been on its way out.
    assert descriptors() <= before
    assert await worker.run(OPEN_DESCRIPTORS) == "4"


async def test_large_calls_in_flight_keep_their_order(bed: Bed) -> None:
    """The worker waits for a segment while more calls, some with one, lie in its socket."""
    worker = await bed.worker()
    texts = [chr(65 + number) * (150_000 if number % 2 else 10) for number in range(12)]
    for text in texts:
        worker.start("echo", text=text)
    assert [await worker.answer() for _ in texts] == texts


async def test_a_result_over_the_limit_is_the_calls_fault_only(bed: Bed) -> None:
    worker = await bed.worker(limits=PluginLimits(result_bytes=100_000))
    failed = await worker.call("echo", text="x" * 200_000)
    assert isinstance(failed, Failed)
    assert (failed.kind, failed.message) == (
        "Result",
        "the result has 200002 bytes; limits.resultBytes is 100000",
    )
    assert await worker.call("echo", text="x" * 99_000) == "x" * 99_000


async def test_a_call_that_takes_too_long_ends_and_the_worker_lives(bed: Bed) -> None:
    worker = await bed.worker()
    await worker.call("count_up", 2)
    failed = await worker.run("while True: pass", seconds=0.05)
    assert isinstance(failed, Failed)
    assert failed.kind == "Timeout"
    assert await worker.call("count_up", 2) == 2


async def test_each_failure_has_its_kind(bed: Bed) -> None:
    worker = await bed.worker()
    arguments = await worker.call("echo", text=7)
    raised = await worker.run("raise KeyError('sku')")
    left = await worker.run("import sys; sys.exit(3)")
    assert (arguments.kind, arguments.argument) == ("Arguments", "text")
    assert (raised.kind, raised.type, raised.message) == ("Raised", "KeyError", "'sku'")
    assert (left.kind, left.type) == ("Raised", "SystemExit")
    assert await worker.call("echo", text="still here") == "still here"


async def test_no_path_of_the_host_is_told(bed: Bed, tmp_path: Path) -> None:
    worker = await bed.worker()
    failed = await worker.run("import os; raise ValueError(os.path.abspath(self.__module__))")
    assert isinstance(failed, Failed)
    failed = await worker.run("import sys; raise ValueError(sys.path[0] + '/obedient.py')")
    assert str(tmp_path) not in failed.message


async def test_a_binding_that_does_not_start_is_none(bed: Bed) -> None:
    worker = await bed.worker(source=HOOKED)
    failed = await worker.call("what_was_heard", 13)
    assert (failed.kind, failed.type, failed.message) == ("Start", "ValueError", "no thirteen")
    assert not failed.bound


async def test_a_binding_is_given_back(bed: Bed) -> None:
    worker = await bed.worker(source=HOOKED)
    for context in (1, 7):
        await worker.call("what_was_heard", context)
    assert (await worker.reclaim(1)).error == ""
    assert (await worker.reclaim(7, "Idle")).error == "RuntimeError: bad exit"
    assert (await worker.reclaim(99)).reported_bytes == 0
    assert [log.message for log in worker.logs] == ["exit Released", "exit Idle"]


async def test_the_next_worker_hears_how_the_last_one_died(bed: Bed) -> None:
    prepared = await bed.prepare(source=HOOKED)
    worker = bed.spawn(prepared, panicked="signal SIGSEGV")
    assert await worker.ready
    assert await worker.call("what_was_heard") == ["WorkerDied: signal SIGSEGV"]
    assert await worker.call("what_was_heard", 2) == []


async def test_what_a_plugin_says_is_logged_with_its_call(bed: Bed) -> None:
    worker = await bed.worker(source=TALKATIVE)
    await worker.call("talk")
    said = [(log.level, log.message, log.call) for log in worker.logs]
    assert said == [
        ("info", "while loading", 0),
        ("info", "to standard output", 1),
        ("warning", "to standard error", 1),
        ("error", "logged 7", 1),
        ("info", "and not endedbytes, ünicode", 1),
    ]


async def test_a_flood_of_lines_is_bounded_in_number_and_length(bed: Bed) -> None:
    worker = await bed.worker(source=TALKATIVE)
    await worker.call("flood", lines=300)
    assert len(worker.logs) <= 300
    assert max(len(log.message) for log in worker.logs) < 5000


async def test_the_kernel_says_how_large_a_worker_is(bed: Bed) -> None:
    worker = await bed.worker()
    small = worker.live.measured_bytes()
    assert small > 1 << 20
    await worker.run("import builtins; builtins.kept = b'x' * (20 << 20)")
    assert 18 << 20 < worker.live.measured_bytes() - small < 22 << 20
    worker.live.kill()
    await worker.end()
    assert worker.live.measured_bytes() == 0


async def test_a_killed_worker_says_nothing_more(bed: Bed) -> None:
    worker = await bed.worker()
    worker.start("echo", text="x")
    worker.live.kill()
    worker.live.kill()
    end = await worker.end()
    assert (end.cause, end.detail) == ("Killed", "killed by the host")
    assert worker.answers.qsize() == 1
    worker.start("echo", text="nobody hears this")
    # The one that looked at the plugin first may be dying still.
    await until(lambda: not bed.runtime.workers)


async def test_a_worker_may_be_killed_before_it_is_there(bed: Bed) -> None:
    prepared = await bed.prepare()
    worker = bed.spawn(prepared)
    worker.live.kill()
    assert (await worker.end()).cause == "Killed"
    assert not await worker.ready


async def test_a_plugin_with_async_functions_runs(bed: Bed) -> None:
    source = """
import asyncio
from pluginsandbox.sdk import Plugin, function

class Obedient(Plugin):
    @function
    async def sleep(self, length: float) -> str:
        await asyncio.sleep(length)
        return "slept"
"""
    worker = await bed.worker(source=source)
    assert await worker.call("sleep", length=0.01) == "slept"
    failed = await worker.call("sleep", seconds=0.05, length=10.0)
    assert failed.kind == "Timeout"
    assert await worker.call("sleep", length=0.01) == "slept"


async def test_the_common_library_works_behind_the_wall(bed: Bed) -> None:
    source = """
import datetime, decimal, hashlib, hmac, json, random, re, statistics, tempfile, uuid, zoneinfo
from pluginsandbox.sdk import Plugin, function

class Obedient(Plugin):
    @function
    def all(self) -> list[str]:
        shanghai = zoneinfo.ZoneInfo("Asia/Shanghai")
        return [
            datetime.datetime(2026, 11, 23, 8, tzinfo=shanghai).isoformat(),
            datetime.datetime.strptime("2026-11-23", "%Y-%m-%d").date().isoformat(),
            hmac.new(b"key", b"text", hashlib.sha256).hexdigest()[:8],
            str(decimal.Decimal("0.10") + 1),
            str(len(uuid.uuid4().hex)),
            str(statistics.mean([1, 2, 3])),
        ]

    @function
    def chance(self) -> float:
        return random.random()
"""
    prepared = await bed.prepare(source=source)
    one, other = await bed.worker(prepared), await bed.worker(prepared)
    assert await one.call("all") == [
        "2026-11-23T08:00:00+08:00",
        "2026-11-23",
        hmac.new(b"key", b"text", hashlib.sha256).hexdigest()[:8],
        "1.10",
        "32",
        "2",
    ]
    assert await one.call("chance") != await other.call("chance")
