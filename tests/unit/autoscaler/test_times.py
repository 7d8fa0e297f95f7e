"""Schedules over daylight saving, start-up times, and a load that comes back."""

from __future__ import annotations

import datetime as dt
import itertools
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pluginsandbox.api.scaling import Schedule
from pluginsandbox.autoscaler import schedules, startup
from pluginsandbox.autoscaler.forecast import JUDGED_PARTS, PARTS, Forecaster
from tests.unit.autoscaler.worlds import policy

HOUR = 3600


def at(moment: str) -> int:
    return int(dt.datetime.fromisoformat(moment).timestamp())


def sale(**fields: Any) -> Schedule:
    plain = {"name": "sale", "schedule": "0 20 * * *", "durationSeconds": 7200, "minReplicas": 40}
    return Schedule.model_validate(plain | fields)


@pytest.mark.parametrize(
    ("moment", "held"),
    [
        ("2026-11-27T19:59:59+08:00", False),
        ("2026-11-27T20:00:00+08:00", True),
        ("2026-11-27T21:59:59+08:00", True),
        ("2026-11-27T22:00:00+08:00", False),
    ],
)
def test_a_schedule_holds_from_its_beginning_to_its_end(moment: str, held: bool) -> None:  # noqa: FBT001
    assert schedules.holds(sale(timeZone="Asia/Shanghai"), at(moment)) is held


def test_a_time_that_daylight_saving_leaves_out_comes_an_hour_later() -> None:
    early = sale(schedule="30 2 * * *", durationSeconds=600, timeZone="Europe/Berlin")
    held = [
        m for m in range(24 * 60) if schedules.holds(early, at("2026-03-29T00:00+01:00") + 60 * m)
    ]
    assert held == list(range(120, 130))  # 03:00 there, as 02:00 to 03:00 is not


def test_a_time_that_comes_twice_counts_once() -> None:
    early = sale(schedule="30 2 * * *", durationSeconds=600, timeZone="Europe/Berlin")
    first = at("2026-10-25T00:00+02:00")
    held = [m for m in range(25 * 60) if schedules.holds(early, first + 60 * m)]
    assert held == list(range(150, 160))


def test_a_duration_is_in_seconds_that_pass() -> None:
    night = sale(schedule="0 1 * * *", durationSeconds=4 * HOUR, timeZone="Europe/Berlin")
    begin = at("2026-03-29T01:00+01:00")
    assert schedules.holds(night, begin + 4 * HOUR - 1)
    assert not schedules.holds(night, begin + 4 * HOUR)


@settings(max_examples=20)
@given(
    st.sampled_from(["2026-03-08", "2026-03-29", "2026-04-05", "2026-10-04", "2026-11-01"]),
    st.sampled_from(["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Shanghai"]),
    st.integers(0, 23),
    st.integers(1, 20),
)
def test_each_day_has_its_schedule_once_also_where_clocks_are_set(
    day: str, zone: str, hour: int, hours: int
) -> None:
    daily = sale(schedule=f"0 {hour} * * *", durationSeconds=hours * HOUR, timeZone=zone)
    first, days, half = at(f"{day}T00:00Z") - 48 * HOUR, 4, 1800
    held = [schedules.holds(daily, first + half * n) for n in range(48 * days)]
    beginnings = sum(now and not before for before, now in itertools.pairwise(held))
    assert abs(beginnings - days) <= 1
    assert abs(sum(held) - days * hours * 2) <= 2 * hours


def test_the_schedule_that_asks_for_most_wins() -> None:
    always = {"schedule": "* * * * *", "durationSeconds": 600}
    both = [
        {"name": "some", "minReplicas": 5, **always},
        {"name": "more", "minReplicas": 7, **always},
    ]
    assert schedules.floor(policy(schedules=both), at("2026-11-27T12:00Z")) == (7, "more")
    assert schedules.floor(policy(minReplicas=9, schedules=both), 0) == (9, "")


def test_a_start_is_as_long_as_nine_in_ten_take() -> None:
    assert startup.start_milliseconds([]) == startup.UNKNOWN_MILLISECONDS
    assert startup.start_milliseconds([2000] * 9 + [90_000]) == 2000
    assert startup.start_milliseconds([-5]) == startup.LEAST_MILLISECONDS


def test_pods_that_take_longer_than_any_before_are_seen_while_they_start() -> None:
    assert startup.start_milliseconds([2000] * 12, [1500] * 74) == 2000
    assert startup.start_milliseconds([2000] * 12, [9000] * 74) == 9000
    assert startup.start_milliseconds([], [15_000]) == 15_000


def test_a_pod_that_is_overdue_is_not_counted_on() -> None:
    assert startup.coming([1000, 6000, 6001], 2000) == 2


def test_a_season_is_forecast_after_it_was_seen_and_judged() -> None:
    forecaster, part = Forecaster(PARTS * 10), 10
    for time in range(part * (PARTS + JUDGED_PARTS + 1)):
        if time == part * PARTS:
            assert not forecaster.outlook(time, time + part).trusted
        forecaster.learn(time, 5000 + 1000 * (time // part % PARTS))
    first = part * (PARTS + JUDGED_PARTS)
    found = forecaster.outlook(first, first + 2 * part)
    assert (found.milli_pods, found.error_percent) == (5000 + 1000 * (JUDGED_PARTS + 2), 0)
    assert found.trusted


def test_a_forecast_that_was_wrong_is_not_trusted() -> None:
    forecaster, part = Forecaster(PARTS * 10), 10
    for time in range(part * (PARTS + JUDGED_PARTS + 1)):
        forecaster.learn(time, 5000 if time < part * PARTS else 50_000)
    first = part * (PARTS + JUDGED_PARTS)
    assert not forecaster.outlook(first, first).trusted
