"""Seconds: what hosts may say, how they add up, and that a gap is never a zero."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from pluginsandbox.autoscaler import sample as samples
from pluginsandbox.autoscaler.numbers import mean
from pluginsandbox.autoscaler.sample import MOST, SampleError
from pluginsandbox.autoscaler.window import Window
from tests.unit.autoscaler.worlds import BEGIN, calls


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("concurrency", -1),
        ("queued", float("nan")),
        ("requests", 1.5),
        ("refused", True),
        ("contexts", float("inf")),
    ],
)
def test_a_sample_that_cannot_be_names_its_field(field: str, value: Any) -> None:
    with pytest.raises(SampleError, match=f"{field} must be a whole number from 0, not"):
        dataclasses.replace(calls(1, 5), **{field: value})


def test_more_calls_cannot_wait_than_there_are() -> None:
    with pytest.raises(SampleError, match="queued must be at most concurrency, 5000"):
        calls(1, 5, queued=6)


def test_a_host_that_tells_of_a_million_calls_or_of_the_future_is_not_believed() -> None:
    assert samples.credible(calls(1, 5), BEGIN + 1)
    assert not samples.credible(calls(1, MOST), BEGIN + 1)
    assert not samples.credible(calls(9, 5), BEGIN + 1)


def test_hosts_that_were_not_asked_carry_as_much_as_the_others() -> None:
    read = [calls(1, 6, queued=2, requests=30), calls(1, 2, requests=10)]
    assert samples.together(read, asked=2, pods=2) == calls(1, 8, queued=2, requests=40)
    assert samples.together(read, asked=2, pods=86) == calls(1, 344, queued=86, requests=1720)


def test_with_fewer_than_half_of_the_asked_hosts_a_second_is_a_gap() -> None:
    assert samples.together([calls(1, 6)], asked=2, pods=2) == calls(1, 12)
    assert samples.together([calls(1, 6)], asked=3, pods=3) is None
    assert samples.together([], asked=0, pods=3) is None


def test_the_past_is_read_back_from_what_hosts_kept() -> None:
    old, young = [calls(n, 5) for n in (1, 2, 4)], [calls(4, 3)]
    assert samples.history({"old": old, "young": young}, pods=2) == [
        calls(1, 5),
        calls(2, 5),
        calls(4, 8),
    ]
    assert samples.history({"old": old}, pods=2)[0] == calls(1, 10)


def test_a_window_keeps_its_seconds_and_leaves_gaps_out() -> None:
    window = Window(5)
    assert [window.add(calls(n, n)) for n in (1, 2, 5, 6, 8)] == [True] * 5
    assert list(window) == [calls(n, n) for n in (5, 6, 8)]
    assert window.last(3) == [calls(6, 6), calls(8, 8)]


def test_a_second_that_comes_twice_or_late_is_passed_over() -> None:
    window = Window(5)
    window.add(calls(4, 1))
    assert not window.add(calls(4, 9))
    assert not window.add(calls(3, 9))
    assert list(window) == [calls(4, 1)]


def test_means_are_rounded_half_up() -> None:
    assert [mean(values) for values in ([], [1, 2], [1, 1, 2], [5])] == [0, 2, 1, 5]
