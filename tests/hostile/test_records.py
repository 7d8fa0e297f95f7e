"""The attacks as data: enough of them, each of its own, none of them vacuous as a group."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.hostile.attacks import ATTACKS
from tests.hostile.record import GROUPS, STOPS


def test_there_are_more_than_a_hundred_and_no_two_are_the_same() -> None:
    assert len(ATTACKS) >= 100
    assert max(Counter((attack.group, attack.name) for attack in ATTACKS).values()) == 1
    code = Counter(attack.code for attack in ATTACKS if attack.code)
    assert [found for found, count in code.items() if count > 1] == []


@pytest.mark.parametrize("group", GROUPS)
def test_each_group_has_acts_that_succeed_without_the_wall(group: str) -> None:
    those = [attack for attack in ATTACKS if attack.group == group]
    assert [attack for attack in those if attack.controlled]


def test_each_says_what_stops_it_and_either_runs_code_or_is_driven() -> None:
    for attack in ATTACKS:
        assert attack.group in GROUPS
        assert attack.stop in STOPS
        assert bool(attack.code) != (attack.drive is not None), attack.name
