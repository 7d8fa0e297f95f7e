from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from random import Random

import pytest

from pluginsandbox.sdk.binding import Binding
from pluginsandbox.sdk.deadline import Deadline
from pluginsandbox.sdk.errors import CallTimeout, StartError
from tests.unit.sdk import samples
from tests.unit.sdk.conftest import Call

pytestmark = pytest.mark.forked

SOON = 30_000
"""Microseconds."""


@pytest.fixture
def deadline() -> Iterator[Deadline]:
    made = Deadline()
    yield made
    made.close()


def spin(seconds: float) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        pass


def test_a_loop_that_swallows_exceptions_is_ended(call: Call, binding: Binding) -> None:
    began = time.monotonic()
    with pytest.raises(CallTimeout, match=r"longer than 0\.03 s"):
        call("spin", timeout=SOON)
    assert time.monotonic() - began < 2
    assert isinstance(binding.instance.heard[-1], CallTimeout)  # type: ignore[attr-defined]
    assert call("add", timeout=SOON) == 1, "state and worker live on"


def test_an_async_wait_is_ended_and_the_loop_is_sound_afterwards(call: Call) -> None:
    for _ in range(3):
        with pytest.raises(CallTimeout):
            call("wait", timeout=SOON)
    assert call("add_later") == 1


def test_nothing_is_raised_outside_the_window(deadline: Deadline) -> None:
    deadline.run(SOON, spin, 0)
    spin(3 * SOON / 1e6)


def test_a_ring_of_an_older_call_leaves_a_younger_one_alone(deadline: Deadline) -> None:
    deadline.run(SOON, spin, 0)
    deadline.run(20 * SOON, spin, 3 * SOON / 1e6)


def test_a_younger_call_with_less_time_is_ended_in_its_own_time(deadline: Deadline) -> None:
    deadline.run(10_000_000, spin, 0)
    began = time.monotonic()
    with pytest.raises(CallTimeout):
        deadline.run(SOON, spin, 5)
    assert time.monotonic() - began < 2


def test_a_lost_exception_is_raised_again(deadline: Deadline) -> None:
    def stubborn() -> None:
        try:
            spin(5)
        except CallTimeout:
            spin(5)

    began = time.monotonic()
    with pytest.raises(CallTimeout):
        deadline.run(SOON, stubborn)
    assert time.monotonic() - began < 2


def test_a_plugin_that_stops_the_timer_is_ended_in_its_next_call(deadline: Deadline) -> None:
    deadline.run(SOON, signal.setitimer, signal.ITIMER_REAL, 0)
    spin(2 * SOON / 1e6)
    with pytest.raises(CallTimeout):
        deadline.run(SOON, spin, 5)


def test_the_shortest_times_end_too(deadline: Deadline) -> None:
    for _ in range(200):
        with pytest.raises(CallTimeout):
            deadline.run(1, spin, 5)


def test_nothing_escapes_however_the_clock_strikes(deadline: Deadline) -> None:
    """Time-outs about as long as the calls strike everywhere, boundaries included."""
    random = Random(7)  # noqa: S311  # the same times on every run
    ended = 0
    for _ in range(3000):
        seconds = random.uniform(0, 300e-6)
        try:
            deadline.run(random.randint(1, 300), spin, seconds)
        except CallTimeout:
            ended += 1
        spin(random.uniform(0, 50e-6))
    assert 300 < ended < 3000


def test_no_time_means_no_limit(deadline: Deadline) -> None:
    before = signal.getsignal(signal.SIGALRM)
    assert deadline.run(0, pow, 2, 3) == 8
    assert signal.getsignal(signal.SIGALRM) is before


def test_signal_and_timer_are_given_back() -> None:
    def mine(*_: object) -> None: ...

    before, left = signal.signal(signal.SIGALRM, mine), signal.getitimer(signal.ITIMER_REAL)
    try:
        signal.setitimer(signal.ITIMER_REAL, 1000, 7)
        made = Deadline()
        made.run(SOON, spin, 0)
        made.close()
        assert signal.getsignal(signal.SIGALRM) is mine
        assert 990 < signal.getitimer(signal.ITIMER_REAL)[0] <= 1000
        assert signal.getitimer(signal.ITIMER_REAL)[1] == 7
    finally:
        signal.signal(signal.SIGALRM, before)
        signal.setitimer(signal.ITIMER_REAL, *left)


@pytest.mark.parametrize("hook", ["panic", "exit"])
def test_hooks_that_never_end_are_ended(hook: str) -> None:
    plugin = samples.loaded(**{hook: "hang"})
    binding = plugin.bind("c", "", 1)
    if hook == "panic":
        binding.tell_panic(ValueError())
    else:
        binding.reclaim("Released", SOON)
        assert "longer than 0.03 s" in binding.exit_error
    plugin.close()


def test_a_start_that_never_ends_makes_no_binding(monkeypatch: pytest.MonkeyPatch) -> None:
    plugin = samples.loaded()
    monkeypatch.setattr(samples.Sample, "on_start", lambda _self: spin(5))
    with pytest.raises(StartError, match="CallTimeout"):
        plugin.bind("c", "", 1, SOON)
    plugin.close()
