"""Laws of conditions: a time moves only with its status, and nothing else is touched."""

from __future__ import annotations

import datetime as dt
import itertools

from hypothesis import given
from hypothesis import strategies as st

from pluginsandbox.api.conditions import (
    CONDITION_MEANINGS,
    MAX_MESSAGE,
    Condition,
    ConditionStatus,
    ConditionType,
    get_condition,
    set_condition,
)
from pluginsandbox.api.reasons import REASONS, Reason

START = dt.datetime(2026, 11, 23, 12, 0, 0, tzinfo=dt.UTC)
STATUSES: list[ConditionStatus] = ["True", "False", "Unknown"]

step = st.tuples(
    st.sampled_from(list(ConditionType)), st.sampled_from(STATUSES), st.sampled_from(list(Reason))
)


def play(steps: list[tuple[ConditionType, ConditionStatus, Reason]]) -> list[tuple[Condition, ...]]:
    """Set conditions one after the other, a second apart."""
    history: list[tuple[Condition, ...]] = [()]
    for second, (kind, status, reason) in enumerate(steps):
        now = START + dt.timedelta(seconds=second)
        after = set_condition(history[-1], kind, status, reason, generation=second, now=now)
        history.append(after)
    return history


@given(st.lists(step, max_size=30))
def test_a_time_moves_if_and_only_if_the_status_changes(
    steps: list[tuple[ConditionType, ConditionStatus, Reason]],
) -> None:
    history = play(steps)
    for second, (before, after) in enumerate(itertools.pairwise(history)):
        kind = steps[second][0]
        old, new = get_condition(before, kind), get_condition(after, kind)
        assert new is not None
        if old is not None and old.status == new.status:
            assert new.last_transition_time == old.last_transition_time
        else:
            assert new.last_transition_time == START + dt.timedelta(seconds=second)


@given(st.lists(step, max_size=30))
def test_each_type_occurs_once_and_others_stay_as_they_are(
    steps: list[tuple[ConditionType, ConditionStatus, Reason]],
) -> None:
    history = play(steps)
    for second, (before, after) in enumerate(itertools.pairwise(history)):
        kind, status, reason = steps[second]
        assert len({condition.type for condition in after}) == len(after)
        others = [condition for condition in before if condition.type != kind]
        assert [condition for condition in after if condition.type != kind] == others
        new = get_condition(after, kind)
        assert new is not None
        assert (new.status, new.reason, new.observed_generation) == (status, reason, second)


def test_the_same_finding_again_changes_nothing() -> None:
    once = set_condition((), ConditionType.READY, "True", Reason.AVAILABLE, generation=1, now=START)
    later = START + dt.timedelta(hours=1)
    again = set_condition(
        once, ConditionType.READY, "True", Reason.AVAILABLE, generation=1, now=later
    )
    assert again == once


def test_a_condition_of_someone_else_is_kept() -> None:
    theirs = Condition(type="Approved", status="True", reason="ByHand")
    after = set_condition(
        (theirs,), ConditionType.READY, "True", Reason.AVAILABLE, generation=1, now=START
    )
    assert after[0] == theirs


def test_times_are_in_utc_and_to_the_second() -> None:
    zone = dt.timezone(dt.timedelta(hours=8))
    now = START.astimezone(zone) + dt.timedelta(microseconds=999_999)
    (condition,) = set_condition(
        (), ConditionType.READY, "True", Reason.AVAILABLE, generation=1, now=now
    )
    assert condition.dump()["lastTransitionTime"] == "2026-11-23T12:00:00Z"


def test_a_long_message_is_cut_visibly() -> None:
    (condition,) = set_condition(
        (), ConditionType.READY, "False", Reason.PODS_NOT_READY, "x" * 9999, generation=1, now=START
    )
    assert len(condition.message) == MAX_MESSAGE
    assert condition.message.endswith("…")


def test_every_reason_says_where_it_occurs_and_what_to_do() -> None:
    assert set(REASONS) == set(Reason)
    for explanation in REASONS.values():
        places = explanation.conditions.replace(" later", "").split(", ")
        for place in (place.strip() for place in places):
            kind, _, status = place.partition("=")
            assert kind in set(ConditionType)
            assert status in STATUSES
        for text in (explanation.meaning, explanation.cause, explanation.action):
            assert text.endswith((".", "`."))


def test_every_reason_is_one_word() -> None:
    for reason in Reason:
        assert reason.value.isalnum()
        assert reason.value[0].isupper()


def test_every_condition_is_explained() -> None:
    assert set(CONDITION_MEANINGS) == set(ConditionType)
