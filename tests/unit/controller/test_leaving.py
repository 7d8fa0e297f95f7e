"""Which pods go in a step down, and which annotations that takes."""

from __future__ import annotations

from typing import Any

import pytest

from pluginsandbox.controller.kinds import DELETION_COST
from pluginsandbox.controller.leaving import COST, costs, fewest
from pluginsandbox.controller.trim import Body
from tests.unit.controller.worlds import pod

GONE = "2026-11-23T12:00:00Z"


def made(name: str, cost: str | None = None, **parts: Any) -> Body:
    return pod("t", name, annotations={} if cost is None else {DELETION_COST: cost}, **parts)


@pytest.mark.parametrize(
    ("pods", "surplus", "going"),
    [
        ([made("a"), made("b"), made("c")], 1, ["u-b"]),
        ([made("a"), made("b"), made("c")], 2, ["u-b", "u-a"]),
        ([made("a"), made("b"), made("new")], 2, ["u-b", "u-a"]),
        ([made("a"), made("b"), made("c", ready=False)], 2, ["u-b"]),
        ([made("a"), made("b"), made("c", ready=False)], 1, []),
        ([made("a"), made("b", deletionTimestamp=GONE)], 1, ["u-a"]),
    ],
)
def test_the_ready_pods_with_the_fewest_contexts_go_behind_those_that_are_not_ready(
    pods: list[Body], surplus: int, going: list[str]
) -> None:
    assert list(fewest(pods, {"u-a": 2, "u-b": 1, "u-c": 3}, surplus)) == going


def test_only_the_chosen_are_marked_and_an_earlier_choice_is_taken_back() -> None:
    pods = [made("a"), made("b", COST), made("c", COST), made("d", "7"), made("e", "7")]
    found = {pod["metadata"]["name"]: cost for pod, cost in costs(pods, ["u-a", "u-b", "u-d"])}
    assert found == {"a": COST, "c": None, "d": COST}


def test_between_steps_nothing_is_written() -> None:
    assert not list(costs([made("a", COST), made("b")], []))
