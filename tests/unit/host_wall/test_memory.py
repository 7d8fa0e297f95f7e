from __future__ import annotations

import mmap
import os
from pathlib import Path

import pytest

from pluginsandbox.host import memory

SIZE = 32 << 20


def test_a_private_map_counts_as_data() -> None:
    before = memory.own_maps()
    with mmap.mmap(-1, SIZE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS):
        after = memory.own_maps()
    assert after.data - before.data >= SIZE
    assert after.total - before.total >= SIZE


def test_touched_pages_count_as_proportional() -> None:
    before = memory.proportional_bytes(os.getpid())
    with mmap.mmap(-1, SIZE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) as area:
        area.write(b"x" * SIZE)
        after = memory.proportional_bytes(os.getpid())
    assert SIZE * 0.9 < after - before < SIZE * 1.1


def test_a_process_that_is_gone_has_no_bytes() -> None:
    assert memory.proportional_bytes(2**22 + 1) == 0


def test_each_kill_for_want_of_memory_is_claimed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    count = 3
    monkeypatch.setattr(memory, "_oom_kills", lambda: count)
    kills = memory.OomKills()
    assert not kills.claim()
    count = 5
    assert [kills.claim() for _ in range(3)] == [True, True, False]
    count = 6
    assert kills.claim()


def test_the_count_is_read_from_either_kind_of_cgroup(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    events = tmp_path / "memory.oom_control"
    events.write_text("oom_kill_disable 0\nunder_oom 0\noom_kill 2\n")
    monkeypatch.setattr(memory, "_OOM_EVENTS", (str(tmp_path / "absent"), str(events)))
    kills = memory.OomKills()
    events.write_text("low 0\nmax 9\noom 4\noom_kill 3\noom_group_kill 0\n")
    assert kills.claim()
