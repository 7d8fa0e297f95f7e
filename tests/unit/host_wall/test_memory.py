from __future__ import annotations

import mmap
import os

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


def test_the_count_of_kills_is_a_number() -> None:
    assert memory.oom_kills() >= 0
