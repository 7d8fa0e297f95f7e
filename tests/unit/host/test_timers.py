"""The wheel against a list that is searched: never early, never lost, late by a tick at most."""

from __future__ import annotations

import sys

from hypothesis import given, settings
from hypothesis import strategies as st

from pluginsandbox.host.timers import NOWHERE, RESOLUTION_SECONDS, Wheel


class Item:
    def __init__(self, name: int) -> None:
        self.name = name
        self.tick = NOWHERE
        self.rung: list[float] = []
        self.disarms: tuple[Wheel, Item] | None = None

    def on_timer(self, now: float) -> None:
        self.rung.append(now)
        if self.disarms is not None:
            wheel, item = self.disarms
            wheel.disarm(item)


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("arm"), st.integers(0, 4), st.floats(0, 3)),
        st.tuples(st.just("disarm"), st.integers(0, 4), st.just(0.0)),
        st.tuples(st.just("pass"), st.just(0), st.floats(0, 1)),
    ),
    max_size=60,
)


@settings(max_examples=200, deadline=None)
@given(STEPS)
def test_an_entry_rings_once_at_the_earliest_time_it_was_armed_for(
    steps: list[tuple[str, int, float]],
) -> None:
    wheel, items, now = Wheel(), [Item(number) for number in range(5)], 50.0
    due: dict[int, float] = {}
    for what, number, amount in steps:
        if what == "arm":
            wheel.arm(items[number], now + amount)
            due[number] = min(due.get(number, now + amount), now + amount)
        elif what == "disarm":
            wheel.disarm(items[number])
            due.pop(number, None)
        else:
            now += amount
            before = {item.name: len(item.rung) for item in items}
            wheel.expire(now)
            for item in items:
                rang = len(item.rung) - before[item.name]
                wanted = due.get(item.name)
                if wanted is None or wanted > now:
                    assert rang == 0
                elif wanted + 2 * RESOLUTION_SECONDS < now:
                    assert rang == 1
                if rang:
                    del due[item.name]
    assert len(wheel) == len(due)


def test_an_entry_may_arm_itself_again_while_it_rings() -> None:
    wheel, item = Wheel(), Item(0)

    def again(now: float) -> None:
        item.rung.append(now)
        wheel.arm(item, now - 5)

    item.on_timer = again  # type: ignore[method-assign]
    wheel.arm(item, 10.0)
    wheel.expire(11.0)
    wheel.expire(11.1)
    assert item.rung == [11.0, 11.1]


def test_an_entry_may_disarm_its_neighbour_while_it_rings() -> None:
    wheel, first, second = Wheel(), Item(0), Item(1)
    first.disarms, second.disarms = (wheel, second), (wheel, first)
    wheel.arm(first, 10.0)
    wheel.arm(second, 10.0)
    assert wheel.expire(11.0) == 1


def test_the_next_due_time_is_never_after_an_entrys_own() -> None:
    wheel, item = Wheel(), Item(0)
    assert wheel.next_due() is None
    wheel.arm(item, 12.345)
    due = wheel.next_due()
    assert due is not None
    assert 12.345 <= due <= 12.345 + RESOLUTION_SECONDS
    wheel.expire(due)
    assert item.rung == [due]


def test_a_bucket_that_became_empty_keeps_no_table_and_can_be_used_again() -> None:
    wheel, items = Wheel(), [Item(number) for number in range(1000)]
    for item in items:
        wheel.arm(item, 12.0)
    for item in items:
        wheel.disarm(item)
    assert max(map(sys.getsizeof, wheel._buckets.values())) == sys.getsizeof({})
    for item in items[:2]:
        wheel.arm(item, 12.0)
    assert len(wheel._ticks) == 1
    assert wheel.expire(13.0) == 2
    assert wheel.next_due() is None
