"""Every state that a small group can reach, each visited once: what random walks cannot promise.

The moves are those of `world`, made finite without leaving out an order of events:

- Greeting is one step. What pods know of each other only grows and merges in any order, so an old
  table that comes late says what an earlier greeting said. Late greetings are the walks' part.
- A message in flight may come at any time or never, so none need be lost.
- What a home asks about holdings reads the other's state where it arrives, and an answer under an
  older view counts for nothing; so it arrives at once. The answer may be late.
- A call that is passed on arrives at once: one that comes later is a call made later there.
- Of two equal messages in flight one is kept; of an asker's lookups the two youngest.
- Lookups are numbered by their asker, and only its own are compared: in a state they count from 1.
- Callers, ends, leaving and crashing are bounded by a budget, and so are grants.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from pluginsandbox.host.peers.answers import Lookup
from pluginsandbox.host.peers.members import NOBODY, Members
from pluginsandbox.host.peers.node import Node, Pointer
from tests.unit.host_peers.world import Message, Move, Pod, Seek, World

LOOKUPS_IN_FLIGHT = 2
PAID = {"call": "calls", "end": "ends", "leave": "leaves", "crash": "crashes"}
"""By kind of move: the budget that it is paid from."""
State = Hashable


@dataclass(frozen=True)
class Bounds:
    """How much may happen in one history."""

    pods: int = 2
    formed: int = 0
    """Of these, how many are a group from the start."""
    calls: int = 2
    ends: int = 1
    leaves: int = 1
    crashes: int = 1
    retries: int = 1
    """Lookups sent again while the one before, or its answer, is on its way."""
    grants: int = 3


class Small(World):
    """A world of one context, that can be copied and compared."""

    def __init__(self, bounds: Bounds) -> None:
        super().__init__([f"p{number}" for number in range(bounds.pods)], [b"aaaa0"], 0)
        self.left = bounds
        self.views: dict[str, frozenset[str]] = {}
        """All that each pod has had."""
        for name in self.names[: bounds.formed]:
            self.do(("spawn", name))
            for other in self.pods:
                self._hello(name, other)
            self.do(("join", name))
            self._inform_all()

    def _inform_all(self) -> None:
        for name in self.pods:
            for other in self.pods:
                self._hello(name, other)
        for pod in self.pods.values():
            for member in sorted(pod.node.unheard()):
                self._report(pod.name, member.address)
        while self.network:
            self._deliver(0)

    def moves(self) -> list[Move]:
        """Return all that may happen next and changes anything."""
        return [move for move in super().moves() if self._counts(move)]

    def _counts(self, move: Move) -> bool:
        match move:
            case ("hello", name, to):
                return self.pods[to].alive and self._is_news(self.pods[name], self.pods[to])
            case ("report", name, to):
                return self._reported(name, to) not in {None, *self.network}
            case ("spawn_unnamed" | "name", *_):
                return False
            case _:
                paid = self._paid(move)
                return paid is None or getattr(self.left, paid) > 0

    def _paid(self, move: Move) -> str | None:
        """Return which budget a move is paid from."""
        if move[0] == "seek":
            return "retries" if self._in_flight(self.pods[move[1]], move[2]) else None
        return PAID.get(move[0])

    def _in_flight(self, pod: Pod, key: bytes) -> bool:
        asked = pod.seeks[key].asked
        return asked is not None and any(
            _asked(message) == (pod.name, asked) for message in self.network
        )

    def _is_news(self, pod: Pod, other: Pod) -> bool:
        unknown = not pod.node.joined and other.name not in pod.greeted
        return unknown or pod.node.members.entries != other.node.members.entries

    def do(self, move: Move) -> None:
        """Do a move, pay for it, and forget what can have no effect any more."""
        paid = self._paid(move)
        if paid is not None:
            self.left = replace(self.left, **{paid: getattr(self.left, paid) - 1})
        super().do(move)
        for pod in self.pods.values():
            self.views[pod.name] = self.views.get(pod.name, frozenset()) | {pod.node.view.hash}
        self.network = [message for message in self.network if self._matters(message)]

    def _matters(self, message: Message) -> bool:
        """Whether a message can still have an effect: a view that is over never returns."""
        pod = self.pods[message.to]
        match message.kind:
            case _ if not pod.alive:
                return False
            case "report":
                return not self._is_over(pod, message.body[0])
            case "lookup?":
                return not self._is_over(pod, message.body.view)
            case "lookup":
                asked, _ = message.body
                return asked.key in pod.seeks and pod.seeks[asked.key].asked == asked
            case _:
                return True

    def _is_over(self, pod: Pod, view: str) -> bool:
        return view != pod.node.view.hash and view in self.views[pod.name]

    def _hello(self, name: str, to: str) -> None:
        pod, other = self.pods[name], self.pods[to]
        if pod is other or not other.alive:
            return
        told = tuple(pod.node.members.entries.items())
        if dict(told).get(to, NOBODY).incarnation == other.node.me.incarnation:
            self.note_known(other, name, told)
        other.node.learn(told)
        answer = tuple(other.node.members.entries.items())
        pod.node.learn(answer)
        self.note_known(pod, to, answer)

    def _report(self, name: str, to: str) -> None:
        message = self._reported(name, to)
        if message is not None:
            self.send(message.kind, message.sender, message.to, message.body)

    def _reported(self, name: str, to: str) -> Message | None:
        asker, asked = self.pods[name].node, self.pods[to]
        if not asked.alive or asked.node.view.hash != asker.view.hash:
            return None
        held = tuple(asked.node.report(asker.me))
        return Message("report", to, name, (asker.view.hash, held))

    def on_report(self, pod: Pod, message: Message) -> None:
        """Take what another said that it holds."""
        view, held = message.body
        pod.node.reported(self.pods[message.sender].node.me, view, held)

    def send(self, kind: str, sender: str, to: str, body: Any) -> None:
        """Send a message, unless the same is on its way."""
        message = Message(kind, sender, to, body)
        if kind in {"call?", "called"}:
            if self.pods[to].alive:
                getattr(self, f"on_{kind.replace('?', '_asked')}")(self.pods[to], message)
            return
        if message in self.network:
            return
        self.network.append(message)
        asked = [one for one in self.network if (one.kind, one.sender) == ("lookup?", sender)]
        if len(asked) > LOOKUPS_IN_FLIGHT:
            self.network.remove(asked[0])

    @property
    def beyond(self) -> bool:
        """Whether more was granted than the bounds allow."""
        return any(pod.node._epoch > self.left.grants for pod in self.pods.values() if pod.alive)

    # --- copies ----------------------------------------------------------------------------------

    def copy(self) -> Small:
        """Return a world that goes its own way from here."""
        made = object.__new__(type(self))
        made.__dict__.update(self.__dict__)
        made.pods = {name: _copied(pod) for name, pod in self.pods.items()}
        made.views = dict(self.views)
        made.network, made.waiting = list(self.network), list(self.waiting)
        return made

    # --- states ----------------------------------------------------------------------------------

    def state(self) -> State:
        """Return what decides what can come: equal for worlds with the same future."""
        count = _Count(self)
        return (
            tuple(self._of(pod, count) for pod in self.pods.values()),
            frozenset(count.message(message) for message in self.network),
            tuple(sorted(self.waiting)),
            self.left,
            self.losses,
        )

    def _of(self, pod: Pod, count: _Count) -> State:
        node = pod.node
        if not pod.alive:
            return (pod.name, node.me)
        known = [
            (at.member, at.epoch, count.of(at.member.address, at.number))
            for pointers in node.pointers.values()
            for at in pointers.values()
        ]
        return (
            tuple(sorted(node.members.entries.items())),
            tuple(sorted((bucket, *held.items()) for bucket, held in node.held.items())),
            tuple(node.pointers),
            tuple(known),
            tuple(sorted((bucket, *sorted(who)) for bucket, who in node.pending.items())),
            tuple(sorted(node._given.items())),
            node._epoch,
            tuple(count.lookup(pod.name, seek.asked) for seek in pod.seeks.values()),
            tuple(pod.frozen.items()),
            None if node.joined else (frozenset(pod.greeted), pod.met),
        )


def _copied(pod: Pod) -> Pod:
    if not pod.alive:
        return pod
    old, node = pod.node, object.__new__(type(pod.node))
    node.__dict__.update(old.__dict__)
    node.members = Members(dict(old.members.entries))
    node.held = {bucket: dict(held) for bucket, held in old.held.items()}
    node.pointers = {bucket: dict(known) for bucket, known in old.pointers.items()}
    node.pending = {bucket: set(who) for bucket, who in old.pending.items()}
    node._given = dict(old._given)
    seeks = {key: Seek(seek.key, seek.asked, seek.home) for key, seek in pod.seeks.items()}
    return replace(pod, node=node, greeted=set(pod.greeted), seeks=seeks, frozen=dict(pod.frozen))


class _Count:
    """Counts each asker's lookups from 1: what they are compared by is their order."""

    def __init__(self, world: Small) -> None:
        numbers: dict[str, set[int]] = {name: {0} for name in world.pods}
        for pod in world.pods.values():
            for seek in pod.seeks.values():
                if seek.asked is not None:
                    numbers[pod.name].add(seek.asked.number)
            for at in _pointers(pod.node):
                numbers[at.member.address].add(at.number)
        for message in world.network:
            asker, lookup = _asked(message)
            if lookup is not None:
                numbers[asker].add(lookup.number)
        self._ranks = {
            name: {number: rank for rank, number in enumerate(sorted(found))}
            for name, found in numbers.items()
        }

    def of(self, asker: str, number: int) -> int:
        return self._ranks[asker][number]

    def lookup(self, asker: str, lookup: Lookup | None) -> State:
        if lookup is None:
            return None
        return (lookup.view, self.of(asker, lookup.number), lookup.binds)

    def message(self, message: Message) -> State:
        asker, lookup = _asked(message)
        if lookup is None:
            return message
        answer = message.body[1] if message.kind == "lookup" else None
        return (message.kind, message.sender, message.to, self.lookup(asker, lookup), answer)


def _pointers(node: Node) -> Iterator[Pointer]:
    for known in node.pointers.values():
        yield from known.values()


def _asked(message: Message) -> tuple[str, Lookup | None]:
    if message.kind == "lookup?":
        return message.sender, message.body
    if message.kind == "lookup":
        return message.to, message.body[0]
    return "", None


@dataclass
class Found:
    """What a search has seen."""

    states: int = 0
    moves: int = 0
    beyond: int = 0
    """States at the bound of grants, from which it does not go on."""
    settled: int = 0
    served: int = 0


def search(bounds: Bounds, settle_each: int = 50, kind: type[Small] = Small) -> Found:
    """Visit every state; at some of them let everything come to its end.

    Raises:
        AssertionError: A context is held twice, or a call is never answered.

    """
    start, found = kind(bounds), Found()
    seen: set[int] = {hash(start.state())}
    ahead = deque([start])
    while ahead:
        world = ahead.popleft()
        found.states += 1
        if found.states % settle_each == 0:
            end = world.copy()
            end.left = replace(end.left, grants=1 << 30)
            end.settle()
            found.settled += 1
            found.served += end.served
        if world.beyond:
            found.beyond += 1
            continue
        for move in world.moves():
            found.moves += 1
            after = world.copy()
            after.do(move)
            state = hash(after.state())
            if state not in seen:
                seen.add(state)
                ahead.append(after)
    return found
