"""Where the time from a new generation to Ready goes."""

from __future__ import annotations

import datetime as dt

import pytest

from pluginsandbox.controller.timeline import Timeline
from tests.unit.controller.worlds import NOW, pod


def at(seconds: float) -> dt.datetime:
    return NOW + dt.timedelta(seconds=seconds)


def stamp(seconds: float) -> str:
    return at(seconds).strftime("%Y-%m-%dT%H:%M:%SZ")


def test_each_stage_takes_the_time_between_two_steps_as_they_were_seen() -> None:
    line = Timeline(1, at(0))
    line.note([], applied=True, now=at(0.05))
    scheduled = {"conditions": [{"type": "PodScheduled", "status": "True"}]}
    line.note([pod("t", ready=False, state={}, status=scheduled)], applied=True, now=at(0.1))
    started = {"running": {"startedAt": stamp(1)}}
    line.note([pod("t", ready=False, state=started, status=scheduled)], applied=True, now=at(1.3))
    assert line.durations() == {}
    ready = {"conditions": [*scheduled["conditions"], {"type": "Ready", "status": "True"}]}
    line.note([pod("t", state=started, status=ready)], applied=True, now=at(1.8))
    assert line.durations() == {
        "apply": pytest.approx(0.05),
        "schedule": pytest.approx(0.05),
        "start": pytest.approx(1.2),
        "load": pytest.approx(0.5),
    }


def test_the_objects_own_stamps_stand_in_for_steps_that_were_not_seen() -> None:
    line = Timeline(1, at(0))
    line.note([], applied=True, now=at(0.5))
    conditions = [
        {"type": "PodScheduled", "status": "True", "lastTransitionTime": stamp(2)},
        {"type": "Ready", "status": "True", "lastTransitionTime": stamp(9)},
    ]
    seen = pod("t", state={"running": {"startedAt": stamp(5)}}, status={"conditions": conditions})
    line.note([seen], applied=True, now=at(60))
    assert line.durations() == {"apply": 0.5, "schedule": 1.5, "start": 3.0, "load": 4.0}


def test_stages_are_never_negative_and_sum_to_the_whole() -> None:
    line = Timeline(1, at(10))
    line.note([pod("t")], applied=True, now=at(10.5))
    durations = line.durations()
    assert all(seconds >= 0 for seconds in durations.values())
    assert sum(durations.values()) == pytest.approx(0.5)
