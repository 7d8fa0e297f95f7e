"""No context is ever held by two pods, and every call ends, whatever the network and the pods do.

Random walks through small worlds, some thousands of moves a second. `PEERS_WALKS=20000` walks on
for minutes. That the walks would find what they look for is shown by nodes with a rule left out.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterable, Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pluginsandbox.host.peers import homes
from pluginsandbox.host.peers.answers import Answer, Lookup, Yours
from pluginsandbox.host.peers.members import Member
from pluginsandbox.host.peers.node import Node
from tests.unit.host_peers import world as worlds
from tests.unit.host_peers.world import Move, World

WALKS = int(os.environ.get("PEERS_WALKS", "400"))
KEYS = [b"aaaa0", b"aaaa1"]
# How likely each kind of move is; what ends pods is rare, so that groups live to do something.
WEIGHTS = {
    "spawn": 6.0,
    "spawn_unnamed": 3.0,
    "name": 0.5,
    "join": 6.0,
    "hello": 2.0,
    "report": 4.0,
    "call": 3.0,
    "seek": 1.0,
    "deliver": 3.0,
    "end": 0.5,
    "give": 2.0,
    "go": 1.0,
    "bury": 0.5,
    "leave": 0.15,
    "crash": 0.1,
    "lose": 0.2,
    "double": 0.2,
}


@pytest.fixture(autouse=True)
def few_buckets(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Buckets change hands far more often when there are four."""
    monkeypatch.setattr(homes, "BUCKETS", 4)
    homes._scores.cache_clear()
    yield
    homes._scores.cache_clear()


def walk(seed: int) -> World:
    chance = random.Random(seed)  # noqa: S311 - a walk, not a key
    names = [f"p{number}" for number in range(chance.choice([3, 4, 5]))]
    world = World(names, KEYS, losses=chance.randint(0, 8))
    for _ in range(chance.choice([60, 150])):
        if not (moves := world.moves()):
            break
        (move,) = chance.choices(moves, [WEIGHTS[move[0]] for move in moves])
        world.do(move)
    world.settle()
    return world


def walk_all(seeds: Iterable[int]) -> list[World]:
    return [walk(seed) for seed in seeds]


def test_walks_through_small_worlds_find_no_context_held_twice_and_no_call_unanswered() -> None:
    done = walk_all(range(WALKS))
    assert sum(world.served for world in done) > WALKS
    assert sum(world.crashes for world in done) > WALKS // 20


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(2, 4), st.integers(0, 6), st.lists(st.integers(0, 999), max_size=120))
def test_hypothesis_finds_none_either(pods: int, losses: int, choices: list[int]) -> None:
    homes._scores.cache_clear()
    world = World([f"p{number}" for number in range(pods)], KEYS, losses)
    for choice in choices:
        if not (moves := world.moves()):
            break
        kinds = sorted({move[0] for move in moves})
        kind = kinds[choice % len(kinds)]
        of_kind: list[Move] = [move for move in moves if move[0] == kind]
        world.do(of_kind[choice // len(kinds) % len(of_kind)])
    world.settle()


class GrantsAtOnce(Node):
    """Does not wait until every member has said what it holds."""

    def lookup(self, asker: Member, asked: Lookup) -> Answer:
        self.pending.clear()
        return super().lookup(asker, asked)


class TakesOldGrants(Node):
    """Holds what was granted under a view that is over."""

    def accept(self, asked: Lookup, granted: Yours) -> bool:
        self._hold(asked.key, granted.epoch)
        return True


class AnswersAnyView(Node):
    """Looks up for members with another view."""

    def lookup(self, asker: Member, asked: Lookup) -> Answer:
        seen = Lookup(self.view.hash, asked.number, asked.key, asked.binds)
        return super().lookup(asker, seen)

    def accept(self, asked: Lookup, granted: Yours) -> bool:
        return super().accept(Lookup(self.view.hash, 0, asked.key, asked.binds), granted)


@pytest.mark.parametrize(
    ("broken", "first"),
    [
        (GrantsAtOnce, 0),
        (TakesOldGrants, 300),
        (AnswersAnyView, 200),
    ],
)
def test_the_walks_find_a_rule_that_is_left_out(
    broken: type[Node], first: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worlds, "Node", broken)
    with pytest.raises(AssertionError, match="is held by"):
        walk_all(range(first, first + 3000))
