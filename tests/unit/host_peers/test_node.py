"""The rules of the protocol, one at a time."""

from __future__ import annotations

from pluginsandbox.host.peers import homes
from pluginsandbox.host.peers.answers import Differs, Held, Later, Refused, Taken, There, Yours
from pluginsandbox.host.peers.members import Entry, Member, Members, Standing
from pluginsandbox.host.peers.node import Node


def pair() -> tuple[Node, Node, bytes]:
    """Two members with one view, and a context whose home is the first."""
    nodes = [Node(Member(f"10.0.0.{number}", 1), lambda: 0) for number in (1, 2)]
    for node in nodes:
        node.learn([(other.me.address, Entry(1, Standing.SERVING)) for other in nodes])
    home, other = nodes
    tell(home, other)
    keys = (homes.key(b"shop", "", str(number)) for number in range(1000))
    return home, other, next(key for key in keys if home.view.home(homes.bucket(key)) == home.me)


def tell(home: Node, member: Node) -> None:
    home.reported(member.me, member.view.hash, member.report(home.me))


def grant(home: Node, member: Node, key: bytes) -> int:
    asked = member.ask(key, binds=True)
    assert asked is not None
    granted = home.lookup(member.me, asked[1])
    assert isinstance(granted, Yours)
    assert member.accept(asked[1], granted)
    return granted.epoch


def test_a_lookup_that_was_overtaken_by_a_later_one_does_not_undo_the_grant() -> None:
    home, other, key = pair()
    early, late = other.ask(key, binds=True), other.ask(key, binds=True)
    assert early is not None
    assert late is not None
    granted = home.lookup(other.me, late[1])
    assert isinstance(granted, Yours)
    assert other.accept(late[1], granted)
    assert home.lookup(other.me, early[1]) == Later()
    own = home.ask(key, binds=True)
    assert own is not None
    assert home.lookup(home.me, own[1]) == There(other.me)


def test_a_grant_that_got_lost_is_given_again_to_who_had_it() -> None:
    home, other, key = pair()
    lost = other.ask(key, binds=True)
    assert lost is not None
    assert isinstance(home.lookup(other.me, lost[1]), Yours)
    grant(home, other, key)
    assert other.holds(key)


def test_word_that_a_context_was_given_back_does_not_undo_a_later_grant() -> None:
    home, other, key = pair()
    first = grant(home, other, key)
    other.release(key)
    second = grant(home, other, key)
    assert second > first
    home.released(other.me, key, first)
    own = home.ask(key, binds=True)
    assert own is not None
    assert home.lookup(home.me, own[1]) == There(other.me)


def test_a_home_takes_a_context_once_from_its_holder_and_from_nobody_else() -> None:
    home, other, key = pair()
    held = Held(key, grant(home, other, key))
    view = home.view.hash
    assert isinstance(home.take(Member("10.0.0.3", 1), view, held), Refused)
    assert isinstance(home.take(other.me, "another view", held), Differs)
    taken = home.take(other.me, view, held)
    assert isinstance(taken, Taken)
    assert taken.epoch > held.epoch
    assert home.take(other.me, view, held) == taken
    other.release(key)
    home.release(key)
    home.released(home.me, key, taken.epoch)
    assert isinstance(home.take(other.me, view, held), Refused)


def test_tables_merge_the_same_in_any_order_and_what_went_stays_gone() -> None:
    heard = [
        ("a", Entry(1, Standing.SERVING)),
        ("a", Entry(1, Standing.GONE)),
        ("a", Entry(2, Standing.JOINING)),
        ("b", Entry(5, Standing.LEAVING)),
        ("b", Entry(4, Standing.GONE)),
    ]
    there, back = Members(), Members()
    there.learn(heard)
    for entry in reversed(heard):
        back.learn([entry])
    assert there.entries == back.entries
    assert not there.learn(heard)
    assert there.of("a") == Entry(2, Standing.JOINING)
