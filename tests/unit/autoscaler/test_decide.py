"""The rules of a decision, one by one, and which of them is named."""

from __future__ import annotations

from typing import Any

import pytest

from pluginsandbox.autoscaler.core import Autoscaler
from pluginsandbox.autoscaler.decide import Answer, Direction, Facts, Limit, Pods, Reason, decide
from pluginsandbox.autoscaler.forecast import Outlook
from pluginsandbox.autoscaler.need import Need
from pluginsandbox.autoscaler.sample import Sample
from tests.unit.autoscaler.worlds import BEGIN, START, calls, play, pods, policy


def needs(number: float, *, surge: bool = False) -> Need:
    load = round(number * 1000)
    return Need(BEGIN, "Concurrency", 1000, load, load, load, surge)


def answer(requested: int, facts: dict[str, Any], **fields: Any) -> Answer:
    given: dict[str, Any] = {"need": needs(10), "covered": True} | facts
    return decide(policy(**fields), Facts(BEGIN, pods(requested), **given))


def test_a_surge_goes_all_the_way_at_once() -> None:
    found = answer(12, {"need": needs(86, surge=True)})
    assert found == Answer(86, Direction.UP, Reason.SURGE, Limit.NONE)


def test_the_bounds_win_and_say_so() -> None:
    high = answer(12, {"need": needs(86)}, maxReplicas=40)
    assert (high.desired, high.limit) == (40, Limit.MAX_REPLICAS)
    low = answer(12, {"need": needs(1)}, minReplicas=9)
    assert (low.desired, low.reason) == (9, Reason.MINIMUM)
    cut = answer(90, {"need": needs(86)}, maxReplicas=40)
    assert (cut.desired, cut.reason) == (40, Reason.MAXIMUM)


def test_what_was_needed_within_the_delay_is_kept() -> None:
    found = answer(50, {"need": needs(10), "held": 40})
    assert (found.desired, found.limit) == (40, Limit.SCALE_DOWN_DELAY)


def test_no_pod_is_removed_for_what_nobody_saw() -> None:
    assert answer(50, {"covered": False}).desired == 50


def test_pods_on_their_way_are_kept_while_calls_wait_for_them() -> None:
    facts = Facts(BEGIN, Pods(50, 20, 30, START), needs(21), waiting=True, covered=True)
    found = decide(policy(), facts)
    assert (found.desired, found.direction) == (50, Direction.HOLD)


def test_steps_down_count_from_the_pods_that_are_wanted_not_from_those_that_are_ready() -> None:
    facts = Facts(BEGIN, Pods(80, 12, 0, START), needs(10), covered=True)
    found = decide(policy(rates={"downPercent": 25}), facts)
    assert (found.desired, found.limit) == (60, Limit.SCALE_DOWN_RATE)


def test_a_step_up_is_no_larger_than_its_rate_but_one_pod_at_least() -> None:
    found = answer(10, {"need": needs(86)}, rates={"upPercent": 300})
    assert (found.desired, found.limit) == (40, Limit.SCALE_UP_RATE)
    assert answer(1, {"need": needs(86)}, rates={"upPercent": 1}).desired == 2


@pytest.mark.parametrize(("load", "desired"), [(95, 100), (105, 100), (111, 111), (89, 89)])
def test_a_change_within_the_tolerance_is_not_made(load: int, desired: int) -> None:
    assert answer(100, {"need": needs(load)}, tolerancePercent=10).desired == desired


def test_a_queue_that_stands_asks_for_its_pods() -> None:
    found = answer(12, {"standing": 86_000})
    assert (found.desired, found.reason) == (86, Reason.QUEUE)


def test_a_forecast_raises_and_never_lowers_and_only_while_it_is_right() -> None:
    trusted, wrong = Outlook(30_000, 25), Outlook(30_000, 26)
    assert answer(10, {"outlook": trusted}).reason is Reason.FORECAST
    assert answer(10, {"outlook": trusted}).desired == 30
    assert answer(10, {"outlook": wrong}).desired == 10
    assert answer(10, {"outlook": Outlook(30_000, None)}).desired == 10
    assert answer(40, {"need": needs(40), "outlook": trusted}).desired == 40


def test_a_schedule_lifts_the_minimum_and_is_named() -> None:
    sale = {"name": "sale", "schedule": "* * * * *", "durationSeconds": 3600, "minReplicas": 40}
    found = answer(10, {}, schedules=[sale])
    assert (found.desired, found.reason, found.schedule) == (40, Reason.SCHEDULE, "sale")
    assert answer(40, {"need": None}, schedules=[sale]).reason is Reason.HOSTS_UNREACHABLE
    assert answer(10, {"need": None}, schedules=[sale]).desired == 40


@pytest.mark.parametrize(
    ("paused", "load", "desired"),
    [
        ("Both", 86, 20),
        ("ScaleUp", 86, 20),
        ("ScaleUp", 21, 20),
        ("ScaleDown", 19, 20),
        ("ScaleUp", 5, 10),
        ("ScaleDown", 86, 86),
    ],
)
def test_a_pause_holds_its_direction_alone(paused: str, load: int, desired: int) -> None:
    found = answer(20, {"need": needs(load)}, paused=paused)
    assert found.desired == desired
    assert (found.reason is Reason.PAUSED) == (desired == 20)


def test_a_gap_of_a_few_seconds_decides_by_the_newest_and_a_longer_one_holds() -> None:
    core = Autoscaler(policy())
    play(core, [calls(n, 30) for n in range(1, 20)], 12)
    assert core.tick(BEGIN + 22, None, pods(30)).answer.reason is Reason.STEADY
    assert core.tick(BEGIN + 23, None, pods(30)).answer.reason is Reason.HOSTS_UNREACHABLE


def test_a_gap_is_no_reason_to_go_down_when_it_ends() -> None:
    core = Autoscaler(policy())
    samples: list[Sample | None] = [calls(n, 30) for n in range(1, 80)]
    samples += [None] * 60
    samples += [calls(n, 1) for n in range(140, 169)]
    assert {seen.answer.desired for seen in play(core, samples, 30)} == {30}


def test_a_sample_of_the_future_is_not_taken() -> None:
    core = Autoscaler(policy())
    assert core.tick(BEGIN, calls(3600, 500), pods(3)).answer.desired == 3


def test_the_clock_may_leap_forward() -> None:
    core = Autoscaler(policy())
    play(core, [calls(n, 30) for n in range(1, 100)], 30)
    assert core.tick(BEGIN + 9000, calls(9000, 2), pods(30)).answer.desired == 30
