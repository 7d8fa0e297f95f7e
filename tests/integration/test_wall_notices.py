"""Probing calls are refused by the host's word, and counted; nobody else waits for that."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from pluginsandbox.host import notices
from tests.integration.host_bed import plugin, running
from tests.integration.wall_bed import Bed, until
from tests.integration.wall_bed import running as running_bed

CURIOUS = """
import os, socket
from pluginsandbox.sdk import Plugin, function

def refused(act):
    try: act()
    except PermissionError: return 1
    return 0

class Counter(Plugin):
    @function
    def probe(self, times: int) -> int:
        acts = (socket.socket, lambda: os.kill(1, 0), lambda: os.mkdir("/tmp/x"))
        return sum(refused(act) for act in acts for _ in range(times))

    @function
    def add(self) -> int:
        return 1
"""


@pytest.fixture
async def bed(tmp_path: Path) -> AsyncIterator[Bed]:
    async with running_bed(tmp_path) as bed:
        yield bed


def test_the_metric_counts_what_a_plugin_tried_and_the_log_names_it(tmp_path: Path) -> None:
    with running(
        tmp_path, plugin(tmp_path, "curious", CURIOUS), plugin(tmp_path, "honest")
    ) as host:
        assert host.call("probe", {"times": 4}, "a", plugin="curious").json == 12
        assert host.metric("denials_total", plugin="curious", kind="notify") == 12
        host.until(lambda: len(host.said("was refused a system call")) == 3)
        calls = {line["call"] for line in host.said("was refused a system call")}
        assert calls <= {"socket", "kill", "mkdir", "mkdirat"}
        host.call("add", {}, "a", plugin="honest")
        assert host.metric("denials_total", plugin="honest") == 0


async def test_a_flood_of_them_waits_and_holds_nobody_else_up(bed: Bed) -> None:
    flood = await bed.worker(name="flood")
    other = await bed.worker(name="other")
    code = """
import os
while True:
    try: os.kill(1, 0)
    except OSError: pass  # refused; or interrupted by the timer, before the host has heard of it
"""
    flood.start("run", seconds=2.0, code=code)
    await until(lambda: len(flood.denied) >= notices.CALLS_PER_SECOND)
    assert await other.call("count_up") == 1
    failed = await flood.answer()
    assert failed.kind == "Timeout"
    # At most three seconds began meanwhile, and the kill comes a while after.
    seen = len(flood.denied)
    assert seen <= 4 * notices.CALLS_PER_SECOND
    assert set(flood.denied) == {"kill"}
    assert await flood.call("count_up") == 1


async def test_a_call_that_waits_for_the_host_can_be_interrupted_and_killed(bed: Bed) -> None:
    worker = await bed.worker()
    code = "import os\nwhile True:\n    try: os.kill(1, 0)\n    except OSError: pass"
    worker.start("run", code=code)
    await until(lambda: len(worker.denied) > notices.CALLS_PER_SECOND)
    started = time.monotonic()
    worker.live.kill()
    assert (await worker.end()).cause == "Killed"
    assert time.monotonic() - started < 60
