"""A small group of pods with everything that can go wrong between them, one move at a time.

The pods' rim is modelled as simply as it can be: each does what `host.peers` does with its node,
message by message. What is checked is `Node`, the very code that runs in a pod. Every message may
be delayed, overtaken, lost or doubled; pods come, leave, crash and learn of each other late. One
thing is taken for granted, as in the cluster: who is said to be dead is dead.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from pluginsandbox.host.peers.answers import (
    Answer,
    Differs,
    Held,
    Lookup,
    Refused,
    TakeAnswer,
    Taken,
    There,
    Unbound,
    Yours,
)
from pluginsandbox.host.peers.members import NOBODY, Entry, Member, Standing
from pluginsandbox.host.peers.node import Node

Move = tuple[Any, ...]
Table = tuple[tuple[str, Entry], ...]


def no_time() -> int:
    """A clock that says nothing: epochs must do without it."""
    return 0


@dataclass(frozen=True)
class Message:
    """From one pod to another; `to` may be gone when it comes."""

    kind: str
    sender: str
    to: str
    body: Any = None


@dataclass
class Seek:
    """A pod looks for a context, for calls of its own or for one that was sent to it."""

    key: bytes
    asked: Lookup | None = None
    home: str = ""


@dataclass
class Pod:
    """A node and the little that stands around it."""

    name: str
    node: Node
    registered: tuple[str, ...]
    """Whom the cluster's DNS names."""
    named: bool = True
    """DNS names this pod itself, so that it names all that were there before."""
    met: bool = False
    """One that serves has answered it."""
    greeted: set[str] = field(default_factory=set)
    alive: bool = True
    seeks: dict[bytes, Seek] = field(default_factory=dict)
    frozen: dict[bytes, bool] = field(default_factory=dict)
    """Contexts that it is giving away: True once a word of that is on its way."""


class World:
    """Pods, the network between them, and the calls that callers wait for.

    Args:
        pods: Names of the pods that may come, in the order in which they are registered.
        keys: Contexts.
        losses: How many messages may be lost or doubled.

    """

    def __init__(self, pods: list[str], keys: list[bytes], losses: int = 2) -> None:
        self.names = pods
        self.keys = keys
        self.losses = losses
        self.pods: dict[str, Pod] = {}
        self.network: list[Message] = []
        self.waiting: list[tuple[str, bytes]] = []
        """Calls: at which pod, for which context."""
        self.served = 0
        self.lost_calls = 0
        self.crashes = 0
        self.spawned = 0

    # --- what may happen -------------------------------------------------------------------------

    def moves(self) -> list[Move]:
        """Return all that may happen next."""
        found: list[Move] = []
        living = [pod for pod in self.pods.values() if pod.alive]
        if len(self.pods) < len(self.names):
            found.append(("spawn", self.names[len(self.pods)]))
            if self.pods:
                found.append(("spawn_unnamed", self.names[len(self.pods)]))
        found += [("name", pod.name) for pod in living if not pod.named]
        for pod in living:
            found += self._moves_of(pod)
        for dead in (pod for pod in self.pods.values() if not pod.alive):
            found += [
                ("bury", pod.name, dead.name) for pod in living if dead.node.me in pod.node.view
            ]
        for number in range(len(self.network)):
            found.append(("deliver", number))
            if self.losses:
                found += [("lose", number), ("double", number)]
        return found

    def _moves_of(self, pod: Pod) -> list[Move]:
        found: list[Move] = []
        node = pod.node
        if not node.joined:
            if self.may_join(pod):
                found.append(("join", pod.name))
            found += [("hello", pod.name, other) for other in sorted(self.to_greet(pod))]
            return found
        found += [("hello", pod.name, m.address) for m in node.view.standings if m != node.me]
        found += [("report", pod.name, m.address) for m in sorted(node.unheard())]
        for key in self.keys:
            found.append(("call", pod.name, key))
            if node.holds(key) and key not in pod.frozen:
                found.append(("end", pod.name, key))
            if node.leaving and node.holds(key):
                found.append(("give", pod.name, key))
        found += [("seek", pod.name, key) for key in pod.seeks]
        if not node.leaving and len(self.pods) > 1:
            found.append(("leave", pod.name))
        elif node.leaving and not any(node.held.values()):
            found.append(("go", pod.name))
        found.append(("crash", pod.name))
        return found

    def to_greet(self, pod: Pod) -> set[str]:
        """Return whom a pod that comes still has to hear from."""
        known = {member.address for member in pod.node.view.standings}
        others = ({*pod.registered} | known) - pod.greeted - {pod.name}
        return {name for name in others if self.pods[name].alive}

    def may_join(self, pod: Pod) -> bool:
        known = (pod.named or pod.met) and not self.to_greet(pod)
        return pod.node.standing is Standing.JOINING and known

    # --- doing it --------------------------------------------------------------------------------

    def do(self, move: Move) -> None:
        """Do one move and check that no context is held twice."""
        getattr(self, f"_{move[0]}")(*move[1:])
        self.check()

    def check(self) -> None:
        for key in self.keys:
            holders = [
                pod.name
                for pod in self.pods.values()
                if pod.alive and pod.node.holds(key) and not pod.frozen.get(key)
            ]
            assert len(holders) <= 1, f"{key!r} is held by {holders}"

    def _spawn(self, name: str) -> None:
        self.spawned += 1
        node = Node(Member(name, self.spawned), no_time)
        self.pods[name] = Pod(name, node, tuple(self.pods))
        node.stand(Standing.JOINING)

    def _spawn_unnamed(self, name: str) -> None:
        """Start a pod for which DNS has an old answer."""
        self._spawn(name)
        pod = self.pods[name]
        pod.named = False
        pod.registered = pod.registered[: len(pod.registered) // 2 + 1][-1:]

    def _name(self, name: str) -> None:
        pod = self.pods[name]
        pod.named = True
        pod.registered = tuple(self.pods)[: list(self.pods).index(name)]

    def _hello(self, name: str, to: str) -> None:
        table = tuple(self.pods[name].node.members.entries.items())
        self.send("hello", name, to, table)

    def _join(self, name: str) -> None:
        self.pods[name].node.stand(Standing.SERVING)

    def _leave(self, name: str) -> None:
        self.pods[name].node.stand(Standing.LEAVING)

    def _go(self, name: str) -> None:
        pod = self.pods[name]
        pod.node.stand(Standing.GONE)
        for member in pod.node.view.standings:
            self._hello(name, member.address)
        self._end_of(pod)

    def _crash(self, name: str) -> None:
        self.crashes += 1
        self._end_of(self.pods[name])

    def _end_of(self, pod: Pod) -> None:
        pod.alive = False
        before = len(self.waiting)
        self.waiting = [call for call in self.waiting if call[0] != pod.name]
        self.lost_calls += before - len(self.waiting)

    def _bury(self, name: str, dead: str) -> None:
        self.pods[name].node.bury(self.pods[dead].node.me)

    def _report(self, name: str, to: str) -> None:
        self._hello(name, to)

    def _call(self, name: str, key: bytes) -> None:
        self.waiting.append((name, key))
        self.attend(self.pods[name], key)

    def _end(self, name: str, key: bytes) -> None:
        self.let_go(self.pods[name], key)

    def let_go(self, pod: Pod, key: bytes) -> None:
        told = pod.node.release(key)
        pod.frozen.pop(key, None)
        if told is not None:
            self.send("released", pod.name, told[0].address, (key, told[1]))
        if any(call == (pod.name, key) for call in self.waiting):
            self.attend(pod, key)

    def _give(self, name: str, key: bytes) -> None:
        pod = self.pods[name]
        asked = pod.node.ask(key, binds=False)
        if asked is None:
            self.let_go(pod, key)
            return
        home, lookup = asked
        pod.frozen[key] = True
        held = Held(key, pod.node.epoch(key))
        self.send("take?", name, home.address, (lookup.view, held))

    def _seek(self, name: str, key: bytes) -> None:
        """Ask again: an answer to the question before comes too late from now on."""
        pod = self.pods[name]
        seek = pod.seeks[key]
        asked = pod.node.ask(key, binds=True)
        if asked is None:
            return
        home, seek.asked = asked
        seek.home = home.address
        self.send("lookup?", name, home.address, seek.asked)

    def attend(self, pod: Pod, key: bytes) -> None:
        """Serve the calls for a context, or look for it."""
        if pod.node.holds(key) and key not in pod.frozen:
            self.serve(pod.name, key)
        elif key not in pod.seeks and not pod.node.holds(key):
            pod.seeks[key] = Seek(key)
            self._seek(pod.name, key)

    def serve(self, name: str, key: bytes) -> None:
        before = len(self.waiting)
        self.waiting = [call for call in self.waiting if call != (name, key)]
        self.served += before - len(self.waiting)

    # --- the network -----------------------------------------------------------------------------

    def send(self, kind: str, sender: str, to: str, body: Any) -> None:
        self.network.append(Message(kind, sender, to, body))

    def _lose(self, number: int) -> None:
        self.losses -= 1
        del self.network[number]

    def _double(self, number: int) -> None:
        self.losses -= 1
        self.network.append(self.network[number])

    def _deliver(self, number: int) -> None:
        message = self.network.pop(number)
        pod = self.pods[message.to]
        if pod.alive:
            kind = message.kind.replace("?", "_asked")
            getattr(self, f"on_{kind}")(pod, message)

    def on_hello(self, pod: Pod, message: Message) -> None:
        node, sender = pod.node, self.pods[message.sender]
        if dict(message.body).get(pod.name, NOBODY).incarnation == node.me.incarnation:
            self.note_known(pod, sender.name, message.body)
        node.learn(message.body)
        table = tuple(node.members.entries.items())
        held = (node.view.hash, tuple(node.report(sender.node.me)))
        self.send("welcome", pod.name, message.sender, (table, held))

    def on_welcome(self, pod: Pod, message: Message) -> None:
        table, (view, held) = message.body
        pod.node.learn(table)
        pod.node.reported(self.pods[message.sender].node.me, view, held)
        self.note_known(pod, message.sender, table)

    def note_known(self, pod: Pod, by: str, table: Table) -> None:
        """Note that another pod knows this one, and has said whom it knows."""
        pod.greeted.add(by)
        told = dict(table).get(by)
        pod.met = pod.met or (told is not None and told.standing is Standing.SERVING)

    def on_released(self, pod: Pod, message: Message) -> None:
        key, epoch = message.body
        pod.node.released(self.pods[message.sender].node.me, key, epoch)

    def on_lookup_asked(self, pod: Pod, message: Message) -> None:
        answer = pod.node.lookup(self.pods[message.sender].node.me, message.body)
        self.send("lookup", pod.name, message.sender, (message.body, answer))

    def on_lookup(self, pod: Pod, message: Message) -> None:
        asked: Lookup
        answer: Answer
        asked, answer = message.body
        seek = pod.seeks.get(asked.key)
        if seek is None or seek.asked != asked:
            return
        seek.asked = None
        match answer:
            case Yours():
                if pod.node.accept(asked, answer):
                    del pod.seeks[asked.key]
                    self.attend(pod, asked.key)
                else:
                    self.send("released", pod.name, message.sender, (asked.key, answer.epoch))
            case There(member):
                self.send("call?", pod.name, member.address, asked.key)
            case Differs() | Unbound():
                self._hello(pod.name, message.sender)
            case _:
                pass

    def on_call_asked(self, pod: Pod, message: Message) -> None:
        """Serve a call that another pod sent, or look for its context, or say it is not here."""
        if pod.node.holds(message.body) and message.body not in pod.frozen:
            self.send("called", pod.name, message.sender, message.body)
        elif pod.node.joined:
            self.attend(pod, message.body)

    def on_called(self, pod: Pod, message: Message) -> None:
        pod.seeks.pop(message.body, None)
        self.serve(pod.name, message.body)

    def on_take_asked(self, pod: Pod, message: Message) -> None:
        view, held = message.body
        answer = pod.node.take(self.pods[message.sender].node.me, view, held)
        self.send("take", pod.name, message.sender, (held, answer))
        if isinstance(answer, Taken):
            pod.seeks.pop(held.key, None)
            self.attend(pod, held.key)

    def on_take(self, pod: Pod, message: Message) -> None:
        held: Held
        answer: TakeAnswer
        held, answer = message.body
        if pod.node.epoch(held.key) != held.epoch:
            return
        if isinstance(answer, Taken | Refused):
            self.let_go(pod, held.key)
        elif isinstance(answer, Differs):
            self._hello(pod.name, message.sender)

    # --- towards the end -------------------------------------------------------------------------

    def settle(self, rounds: int = 40) -> None:
        """Let everything that is under way come to its end, with nothing going wrong any more."""
        self.losses = 0
        for _ in range(rounds):
            for pod in [pod for pod in self.pods.values() if pod.alive]:
                self._settle_pod(pod)
            while self.network:
                self.do(("deliver", 0))
            if not self.waiting or not any(self._takes_calls(pod) for pod in self.pods.values()):
                return
        raise AssertionError(f"calls that are never answered: {self.waiting}")

    def _takes_calls(self, pod: Pod) -> bool:
        return pod.alive and pod.node.standing in {Standing.JOINING, Standing.SERVING}

    def _settle_pod(self, pod: Pod) -> None:
        self._inform(pod)
        if not pod.named:
            self.do(("name", pod.name))
        if self.may_join(pod):
            self.do(("join", pod.name))
        for member in sorted(pod.node.unheard()):
            self.do(("report", pod.name, member.address))
        for key in list(pod.frozen):
            self.do(("give", pod.name, key))
        for key in list(pod.seeks):
            self.do(("seek", pod.name, key))

    def _inform(self, pod: Pod) -> None:
        for dead in self.pods.values():
            if not dead.alive and dead.node.me in pod.node.view:
                self.do(("bury", pod.name, dead.name))
        for other in self.pods.values():
            if other.alive and other is not pod:
                self.do(("hello", pod.name, other.name))
        while self.network:
            self.do(("deliver", 0))
