"""A group that grows from 12 to 86 members, and one that shrinks again, loses nothing."""

from __future__ import annotations

import random

import pytest

from pluginsandbox.host.peers import homes
from pluginsandbox.host.peers.answers import There, Yours
from pluginsandbox.host.peers.members import Member, Standing
from pluginsandbox.host.peers.node import Node

FROM, TO = 12, 86
CONTEXTS = 1000
BATCH = 7


class Group:
    """Nodes whose messages arrive at once, in random order and only as far as a test says."""

    def __init__(self) -> None:
        self.nodes: list[Node] = []
        self.chance = random.Random(1)  # noqa: S311 - no key

    def grow(self, size: int) -> None:
        """Let members come, in batches that do not know of each other until they have joined."""
        while len(self.nodes) < size:
            first = len(self.nodes)
            count = min(BATCH, size - first)
            comers = [
                Node(Member(f"10.0.0.{first + number}", 1), lambda: 0) for number in range(count)
            ]
            self.nodes += comers
            for node in comers:
                node.stand(Standing.JOINING)
            self.gossip()
            for node in comers:
                node.stand(Standing.SERVING)
            self.probe(size // 4)
            self.gossip()
            self.probe(size // 4)
            self.report()

    def gossip(self) -> None:
        """Have everybody know what anybody knows."""
        known = [item for node in self.nodes for item in node.members.entries.items()]
        best = dict(sorted(known, key=lambda item: item[1]))
        for node in self.nodes:
            node.learn(best.items())

    def report(self) -> None:
        """Have every home hear from whom it has not."""
        by_member = {node.me: node for node in self.nodes}
        for home in self.nodes:
            view = home.view.hash
            for member in home.unheard():
                assert by_member[member].view.hash == view
                home.reported(member, view, by_member[member].report(home.me))

    def probe(self, count: int) -> None:
        """Ask for contexts in the middle of it all, and take what is granted."""
        for _ in range(count):
            self.call(self.chance.choice(self.nodes), self.chance.randrange(CONTEXTS))

    def call(self, node: Node, context: int) -> Member | None:
        """Return where a call that comes to a node would run; None if it has to wait."""
        key = homes.key(b"shop", "", str(context))
        if node.holds(key):
            return node.me
        asked = node.ask(key, binds=True)
        if asked is None:
            return None
        home = next(other for other in self.nodes if other.me == asked[0])
        match home.lookup(node.me, asked[1]):
            case Yours() as granted:
                return node.me if node.accept(asked[1], granted) else None
            case There(member):
                return member
            case _:
                return None

    def holders(self) -> dict[bytes, list[Member]]:
        found: dict[bytes, list[Member]] = {}
        for node in self.nodes:
            for contexts in node.held.values():
                for key in contexts:
                    found.setdefault(key, []).append(node.me)
        return found


@pytest.fixture
def group() -> Group:
    group = Group()
    group.grow(FROM)
    for context in range(CONTEXTS // 2):
        assert group.call(group.chance.choice(group.nodes), context) is not None
    return group


def test_growth_from_12_to_86_moves_no_context_binds_none_twice_and_all_are_found(
    group: Group,
) -> None:
    before = group.holders()
    assert len(before) >= CONTEXTS // 2
    group.grow(TO)
    after = group.holders()
    assert all(len(members) == 1 for members in after.values())
    assert {key: after[key] for key in before} == before
    assert len(after) > len(before)
    for context in range(CONTEXTS):
        members = after.get(homes.key(b"shop", "", str(context)))
        found = group.call(group.chance.choice(group.nodes), context)
        assert found is not None
        assert members is None or [found] == members


def test_a_member_that_comes_takes_its_share_of_buckets_and_no_other_changes_hands() -> None:
    members = [Member(f"10.0.0.{number}", 1) for number in range(TO)]
    before, after = homes.Homes(members[:-1]), homes.Homes(members)
    buckets = range(homes.BUCKETS)
    moved = [
        after.owners[bucket] for bucket in buckets if before.owners[bucket] != after.owners[bucket]
    ]
    assert set(moved) == {members[-1]}
    assert 2 <= len(moved) <= 40


def test_buckets_belong_to_the_same_members_however_a_group_came_to_be() -> None:
    members = [Member(f"10.0.0.{number}", 1) for number in range(9)]
    grown = homes.Homes(members[4:7], homes.Homes(members[:6], homes.Homes(members[:2])))
    afresh = homes.Homes(members[4:7])
    assert grown.owners == afresh.owners
