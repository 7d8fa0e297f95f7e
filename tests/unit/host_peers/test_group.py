"""When a pod is believed to be gone: its process has ended, or the cluster took it away."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
import structlog

from pluginsandbox.host.peers.group import SILENT_SECONDS, Group
from pluginsandbox.host.peers.keys import Keys
from pluginsandbox.host.peers.members import Entry, Member, Members, Standing
from pluginsandbox.host.peers.messages import Hello, Table, Welcome
from pluginsandbox.host.peers.node import Node

ME, OTHER, STRANGER = "10.0.0.1", "10.0.0.2", "10.0.0.3"


class Deaf:
    """Ways to members that do not answer, each in its manner."""

    def __init__(self) -> None:
        self.error: Exception = TimeoutError()

    async def greet(self, address: str, seconds: float) -> None:
        raise self.error

    def forget(self, address: str) -> None:
        pass


class Bench:
    """A group of two, of which the other does not answer; time passes when a test says so."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        self.named = frozenset({ME, OTHER})
        monkeypatch.setattr(time, "monotonic", lambda: self.now)
        node = Node(Member(ME, 1), lambda: 0)
        node.learn([(ME, Entry(1, Standing.SERVING)), (OTHER, Entry(1, Standing.SERVING))])
        self.group = Group(node, Keys(Path("/nowhere")), self.resolve)
        self.links = Deaf()
        self.group.links = self.links  # type: ignore[assignment]
        self.group._settling = None

    async def resolve(self) -> frozenset[str]:
        return self.named

    async def look(self, seconds: float) -> bool:
        """Let time pass, look around, and tell whether the other is still believed to be there."""
        self.now += seconds
        await self.group.look_around()
        return Member(OTHER, 1) in self.group.node.view


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Bench:
    return Bench(monkeypatch)


async def test_a_pod_that_dns_names_is_waited_for_however_long_it_is_silent(bench: Bench) -> None:
    for _ in range(20):
        assert await bench.look(60)


async def test_of_a_silent_pod_it_is_said_what_to_do_and_callers_are_told(bench: Bench) -> None:
    assert bench.group.trouble() == ""
    await bench.look(1)
    assert bench.group.silent == [OTHER]
    assert bench.group.trouble() == "1 of the sandbox's 2 pods do not answer"
    with structlog.testing.capture_logs() as told:
        for _ in range(3):
            await bench.look(SILENT_SECONDS)
    (line,) = [line for line in told if line["address"] == OTHER]
    assert "delete the pod by force" in line["event"]
    bench.group.welcome(OTHER, Welcome(bench.group.hello().table, "", []))
    assert bench.group.silent == []


async def test_a_pod_that_dns_names_no_more_is_given_up_when_it_stays_silent(bench: Bench) -> None:
    assert await bench.look(0)
    bench.named = frozenset({ME})
    assert await bench.look(1)
    assert await bench.look(4)
    assert not await bench.look(2)


async def test_a_pod_that_dns_has_not_named_yet_is_given_the_time_that_name_servers_lag(
    bench: Bench,
) -> None:
    bench.named = frozenset({ME})
    assert await bench.look(0)
    assert await bench.look(30)
    assert not await bench.look(6)


async def test_dns_that_does_not_name_this_pod_says_nothing_of_others(bench: Bench) -> None:
    assert await bench.look(0)
    bench.named = frozenset()
    for _ in range(5):
        assert await bench.look(60)


async def test_what_was_noted_of_an_address_goes_with_its_name(bench: Bench) -> None:
    bench.named |= {STRANGER}
    await bench.group._greet(STRANGER)
    assert STRANGER in bench.group._silent
    assert STRANGER in bench.group._later
    bench.named -= {STRANGER}
    await bench.look(1)
    assert STRANGER not in bench.group._silent
    assert STRANGER not in bench.group._later


@pytest.fixture
def comer() -> tuple[Node, Group]:
    """Return a pod that has come to two that serve and know it, and has heard of both."""
    node = Node(Member(ME, 1), lambda: 0)
    group = Group(node, Keys(Path("/nowhere")), Bench.resolve)  # type: ignore[arg-type]
    group.links = Deaf()  # type: ignore[assignment]
    serving = Entry(1, Standing.SERVING)
    node.learn([(OTHER, serving), (STRANGER, serving)])
    node.stand(Standing.JOINING)
    return node, group


async def test_a_pod_joins_when_the_last_has_shown_that_it_knows_it_whoever_greeted(
    comer: tuple[Node, Group],
) -> None:
    node, group = comer
    told = group.hello().table
    assert not _joined(node)
    group.welcome(OTHER, Welcome(told, node.view.hash, []))
    assert not _joined(node)
    answer = group.greeted(Member(STRANGER, 1), Hello(told))
    assert _joined(node)
    assert answer.view == node.view.hash


async def test_a_greeting_from_who_does_not_know_this_pod_lets_it_wait(
    comer: tuple[Node, Group],
) -> None:
    node, group = comer
    group.welcome(OTHER, Welcome(group.hello().table, "", []))
    ignorant, outlived = Members(), Member(STRANGER, 0)
    ignorant.learn([(STRANGER, (1, Standing.SERVING))])
    group.greeted(Member(STRANGER, 1), Hello(Table(ignorant).written))
    group.greeted(outlived, group.hello())
    assert not _joined(node)


async def test_one_refused_connection_may_be_a_restart_and_two_are_an_end(bench: Bench) -> None:
    bench.links.error = ConnectionRefusedError()
    assert await bench.look(1)
    assert not await bench.look(1)


def _joined(node: Node) -> bool:
    return node.joined
