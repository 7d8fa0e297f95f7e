"""In every state that a small group can reach, no context is held twice; every call can still end.

`PEERS_STATES=all` visits larger groups, for minutes.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from pluginsandbox.host.peers import homes
from pluginsandbox.host.peers.node import Node
from tests.unit.host_peers import test_model as broken
from tests.unit.host_peers import world as worlds
from tests.unit.host_peers.exhaustive import Bounds, Small, search
from tests.unit.host_peers.world import Move

PAIR = Bounds(pods=2, formed=1, calls=2, ends=0, leaves=0, crashes=0)
QUICK = {
    "one comes to one": PAIR,
    "one of two leaves": Bounds(2, 2, calls=2, ends=0, leaves=1, crashes=0, retries=0),
    "a third comes, one dies": Bounds(
        3, 2, calls=1, ends=0, leaves=0, crashes=1, grants=2, retries=0
    ),
}
LARGE = {
    "two begin": Bounds(ends=0, leaves=0, crashes=0),
    "one comes to one, and one leaves": Bounds(formed=1, crashes=0, retries=0),
    "all happens to a pair": Bounds(formed=2),
    "a third comes to two, and calls": Bounds(3, 2, ends=0, leaves=0, crashes=0, retries=0),
}
INSTANCES = {**QUICK, **(LARGE if os.environ.get("PEERS_STATES") == "all" else {})}


@pytest.fixture(autouse=True)
def one_bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """There is one context, and so one bucket that changes hands."""
    monkeypatch.setattr(homes, "BUCKETS", 1)
    homes._scores.cache_clear()
    yield
    homes._scores.cache_clear()


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("name", INSTANCES)
def test_no_state_has_a_context_twice_and_from_each_every_call_ends(name: str) -> None:
    found = search(INSTANCES[name])
    print(f"{name}: {INSTANCES[name]}: {found}")
    assert found.states > 500
    assert found.served, "calls were served on the way"


@pytest.mark.parametrize(
    "rule", [broken.GrantsAtOnce, broken.TakesOldGrants, broken.AnswersAnyView]
)
def test_the_search_finds_a_rule_that_is_left_out(
    rule: type[Node], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worlds, "Node", rule)
    with pytest.raises(AssertionError, match="is held by"):
        search(PAIR)


class Impatient(Small):
    """Takes a pod for dead that only does not answer."""

    def moves(self) -> list[Move]:
        living = [pod for pod in self.pods.values() if pod.alive]
        hasty: list[Move] = [
            ("bury", pod.name, other.name)
            for pod in living
            for other in living
            if pod is not other and other.node.me in pod.node.view
        ]
        return [*super().moves(), *hasty]


def test_a_pod_that_is_silent_must_not_be_taken_for_dead() -> None:
    with pytest.raises(AssertionError, match="is held by"):
        search(PAIR, settle_each=1 << 30, kind=Impatient)
