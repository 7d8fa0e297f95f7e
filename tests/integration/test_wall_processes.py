"""No process, descriptor or zombie outlives its reason, whoever dies first."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.integration.wall_bed import (
    ENTRY_POINT,
    OBEDIENT,
    SECONDS,
    Bed,
    children,
    descriptors,
    running,
    status,
    text,
    until,
)

CHURN = 300


@pytest.fixture
async def bed(tmp_path: Path) -> AsyncIterator[Bed]:
    async with running(tmp_path) as bed:
        yield bed


def zygote(bed: Bed) -> int:
    pid = bed.runtime.zygote_pid
    assert pid is not None
    return pid


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


async def test_many_workers_come_and_go_and_leave_nothing(bed: Bed) -> None:
    prepared = await bed.prepare()
    await until(lambda: not bed.runtime.workers)
    here, there = descriptors(), descriptors(zygote(bed))
    for _ in range(CHURN // 30):
        workers = [bed.spawn(prepared) for _ in range(30)]
        assert all([await worker.ready for worker in workers])
        assert [await worker.call("count_up") for worker in workers] == [1] * 30
        for worker in workers:
            worker.live.kill()
        ends = [await worker.end() for worker in workers]
        assert {end.cause for end in ends} == {"Killed"}
    assert bed.runtime.workers == 0
    assert list(children(zygote(bed))) == []
    assert descriptors() == here
    # The rules of one plugin, kept.
    assert descriptors(zygote(bed)) <= there + 1


def links(pid: int) -> dict[str, str]:
    entries = Path(f"/proc/{pid}/fd").iterdir()
    return {entry.name: str(entry.readlink()) for entry in entries}


async def test_a_worker_has_nothing_open_but_its_socket(bed: Bed) -> None:
    worker = await bed.worker()
    found = links(worker.live.pid)
    assert {found.pop(number) for number in "012"} == {"/dev/null"}
    assert list(found) == ["3"]
    assert found["3"].startswith("socket:")


async def test_the_zygote_takes_its_workers_along_and_the_next_one_serves(bed: Bed) -> None:
    prepared = await bed.prepare()
    workers = [await bed.worker(prepared) for _ in range(3)]
    first = zygote(bed)
    os.kill(first, signal.SIGKILL)
    for worker in workers:
        end = await worker.end()
        assert (end.cause, end.detail) == (
            "Signal",
            "killed with the process that had forked it",
        )
        await until(lambda pid=worker.live.pid: not alive(pid))
    again = await bed.worker(prepared)
    assert await again.call("count_up") == 1
    assert zygote(bed) != first


FIRST_PROCESS = """
import asyncio, json, os, signal, sys
from pathlib import Path
from pluginsandbox.host import kernel
from tests.integration.wall_bed import Bed, children, until

async def main():
    kernel.prctl(36, 1)  # PR_SET_CHILD_SUBREAPER: orphans come here, as to process 1 of a pod
    bed = Bed(Path(sys.argv[1]))
    prepared = await bed.prepare()
    workers = [await bed.worker(prepared) for _ in range(3)]
    os.kill(bed.runtime.zygote_pid, signal.SIGKILL)
    causes = [(await worker.end()).cause for worker in workers]
    left = list(children(os.getpid()))
    again = await (await bed.worker(prepared)).call("count_up")
    await bed.runtime.close()
    print(json.dumps([causes, left, again, list(children(os.getpid()))]))

asyncio.run(main())
"""


async def test_the_first_process_of_a_pod_keeps_no_zombies(tmp_path: Path) -> None:
    host = await asyncio.create_subprocess_exec(
        sys.executable, "-c", FIRST_PROCESS, str(tmp_path), stdout=subprocess.PIPE
    )
    out, _ = await asyncio.wait_for(host.communicate(), SECONDS)
    assert json.loads(out) == [["Signal"] * 3, [], 1, []]


async def test_close_ends_all(tmp_path: Path) -> None:
    async with running(tmp_path) as bed:
        workers = [await bed.worker() for _ in range(3)]
        pids = [zygote(bed), *(worker.live.pid for worker in workers)]
    assert not any(alive(pid) for pid in pids)
    assert [(await worker.end()).cause for worker in workers] == ["Killed"] * 3


HOST = """
import asyncio, json, os, sys
from pathlib import Path
from tests.integration.wall_bed import Bed

async def main():
    bed = Bed(Path(sys.argv[1]))
    prepared = await bed.prepare()
    workers = [await bed.worker(prepared) for _ in range(3)]
    for worker in workers[1:]:
        worker.start("run", code=sys.argv[2])
    coming = [bed.spawn(prepared) for _ in range(8)]
    pids = [bed.runtime.zygote_pid, *(worker.live.pid for worker in workers)]
    print(json.dumps(pids), flush=True)
    await asyncio.sleep(600)

asyncio.run(main())
"""
STUBBORN = """
import signal
for number in range(1, 32):
    if number not in (signal.SIGKILL, signal.SIGSTOP):
        signal.signal(number, signal.SIG_IGN)
while True: pass
"""


@pytest.mark.parametrize("ending", [signal.SIGKILL, signal.SIGTERM, signal.SIGABRT])
async def test_a_killed_host_leaves_nobody_behind(tmp_path: Path, ending: signal.Signals) -> None:
    host = await asyncio.create_subprocess_exec(
        sys.executable, "-c", HOST, str(tmp_path), STUBBORN, stdout=subprocess.PIPE
    )
    assert host.stdout is not None
    pids: list[int] = json.loads(await asyncio.wait_for(host.stdout.readline(), SECONDS))
    family = {*pids, *children(pids[0])}
    assert len(family) >= 4
    host.send_signal(ending)
    await host.wait()
    await until(lambda: not any(alive(pid) for pid in family))


async def test_a_worker_is_of_its_own_session_and_first_to_go_when_memory_runs_out(
    bed: Bed,
) -> None:
    worker = await bed.worker()
    pid = worker.live.pid
    assert os.getsid(pid) == pid
    assert text(f"/proc/{pid}/oom_score_adj").strip() == "1000"
    limits = text(f"/proc/{pid}/limits")
    told = {line[:25].strip(): line[26:].split()[:2] for line in limits.splitlines()}
    assert told["Max file size"] == ["0", "0"]
    assert told["Max core file size"] == ["1", "1"]
    assert told["Max open files"] == ["64", "64"]
    assert told["Max locked memory"] == ["0", "0"]
    assert told["Max msgqueue size"] == ["0", "0"]
    assert int(told["Max data size"][1]) < 256 << 20
    assert int(told["Max address space"][1]) < 4 << 30


async def test_neither_host_nor_zygote_can_be_looked_into(bed: Bed) -> None:
    """Not even by another process of the same user: as it is in a pod, where all have one."""
    await bed.prepare()
    for pid in (os.getpid(), zygote(bed)):
        script = f"open('/proc/{pid}/environ').read()"
        drop = ["setpriv", "--bounding-set=-all", "--inh-caps=-all", "--no-new-privs"]
        keep = [] if os.getuid() else drop
        looked = await asyncio.create_subprocess_exec(
            *keep, sys.executable, "-c", script, stderr=subprocess.PIPE
        )
        _, error = await looked.communicate()
        assert b"PermissionError" in error


async def test_the_zygote_has_no_privilege_and_little_in_its_environment(bed: Bed) -> None:
    await bed.prepare()
    found = status(zygote(bed))
    assert found["NoNewPrivs"] == "1"
    assert {found[name] for name in ("CapEff", "CapPrm", "CapInh", "CapBnd", "CapAmb")} == {
        "0" * 16
    }
    assert found["Threads"] == "1"
    environment = text(f"/proc/{zygote(bed)}/environ").split("\0")
    names = {entry.partition("=")[0] for entry in environment if entry}
    assert names <= {"PYTHONPATH", "LANG", "TZ", "LC_CTYPE"}


def test_the_plugin_of_these_tests_is_one() -> None:
    assert ENTRY_POINT.partition(":")[2] in OBEDIENT
