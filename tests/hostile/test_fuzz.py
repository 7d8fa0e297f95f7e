"""Whatever a worker sends is a frame within bounds or its end; nothing else comes of it."""

from __future__ import annotations

from tests.hostile import fuzz
from tests.hostile.honest import HONEST

DECODED = 200_000
HANDLED = 10_000


def test_two_hundred_thousand_frames_crash_nothing_and_leave_nothing() -> None:
    fuzz.decode(20_000)
    before = fuzz.resident()
    found = fuzz.decode(DECODED)
    assert found.total() == DECODED
    assert {type(frame).__name__ for frame in HONEST} <= set(found), "every kind is tried"
    assert found["refused"] > DECODED // 2
    assert fuzz.resident() - before < 4 << 20


async def test_what_the_host_makes_of_them_is_asked_for_or_the_workers_end() -> None:
    await fuzz.handle(600)
    before = fuzz.descriptors()
    heard = await fuzz.handle(HANDLED)
    assert fuzz.descriptors() == before
    assert heard["Protocol"] > HANDLED // 40
    assert {"ready", "result", "failed", "reclaimed", "log"} <= set(heard)
