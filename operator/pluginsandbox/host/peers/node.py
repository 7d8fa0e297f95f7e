"""The protocol by which no context is ever held by two pods: one member's part of it. Pure.

Who holds a context knows it for certain; its home only remembers. So a home may grant a context
that it does not know only if no member can hold it without the home's knowledge: when a bucket
becomes its own, it asks every member what they hold there, and grants nothing in the bucket before
the last has answered under the very same view. Members that come later hold there what this home
granted and nothing else, so its knowledge stays whole as long as the bucket stays its own.

The messages may be lost, late, doubled or out of order; see docs/decisions for the argument, and
tests/unit/host_peers for the search through all that small groups can do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

from pluginsandbox.host.peers import homes
from pluginsandbox.host.peers.answers import (
    Answer,
    Differs,
    Held,
    Later,
    Lookup,
    Refused,
    TakeAnswer,
    Taken,
    There,
    Unbound,
    Yours,
)
from pluginsandbox.host.peers.members import Entry, Member, Members, Standing, View


class Pointer(NamedTuple):
    """Where a home believes a context to be."""

    member: Member
    epoch: int
    number: int
    """Of the lookup by which it was granted; 0 for what a member reported."""


class Node:
    """What one pod knows, holds and keeps for others.

    Args:
        me: Its own identity.
        clock: Microseconds of Unix time; epochs are above all that any member has shown.

    """

    def __init__(self, me: Member, clock: Callable[[], int]) -> None:
        self.me = me
        self.members = Members()
        self.view = View({})
        self.held: dict[int, dict[bytes, int]] = {}
        """By bucket: the contexts that are here, with their epochs."""
        self.pointers: dict[int, dict[bytes, Pointer]] = {}
        """By bucket: all that are this member's own."""
        self.pending: dict[int, set[Member]] = {}
        """By bucket: who has not said yet what it holds there."""
        self._given: dict[bytes, tuple[Member, int]] = {}
        """Contexts that were handed over to this member: by whom, and their epoch there."""
        self._clock = clock
        self._epoch = 0
        self._number = 0

    # --- membership ------------------------------------------------------------------------------

    @property
    def joined(self) -> bool:
        """Whether this member may hold contexts."""
        return self.standing in {Standing.SERVING, Standing.LEAVING}

    @property
    def standing(self) -> Standing:
        """How far this member has come."""
        return self.view.standings.get(self.me, Standing.GONE)

    @property
    def leaving(self) -> bool:
        """Whether it takes nothing new."""
        return self.standing is Standing.LEAVING

    @property
    def disowned(self) -> bool:
        """Whether others believe that this member is gone, and may hold what it holds."""
        entry = self.members.of(self.me.address)
        return entry > Entry(self.me.incarnation, Standing.LEAVING)

    def stand(self, standing: Standing) -> None:
        """Make itself known, join, begin to leave, or be gone."""
        self.learn([(self.me.address, Entry(self.me.incarnation, standing))])

    def bury(self, member: Member) -> None:
        """Note that a member is gone for certain: its process has ended."""
        self.learn([(member.address, Entry(member.incarnation, Standing.GONE))])

    def learn(self, heard: Iterable[tuple[str, tuple[int, int]]]) -> bool:
        """Take what another member knows of who is there; return whether the view changed."""
        if not self.members.learn(heard):
            return False
        view = self.members.view(self.view)
        if view.standings == self.view.standings:
            return False
        self.view = view
        self._rehome()
        return True

    def reborn(self, incarnation: int) -> None:
        """Take another identity, after others believed this one to be gone."""
        self.me = Member(self.me.address, incarnation)
        self.pointers, self.pending, self._given = {}, {}, {}

    def _rehome(self) -> None:
        """Give up the buckets that are another's now, begin with those that are newly mine."""
        now = self.view.homes
        mine = {number for number in now.changed if now.owners[number] == self.me}
        for number in self.pointers.keys() & (now.changed - mine):
            del self.pointers[number]
            self.pending.pop(number, None)
        for number, missing in list(self.pending.items()):
            self._await(number, missing & self.view.standings.keys())
        for number, known in self.pointers.items():
            for key in [key for key, at in known.items() if at.member not in self.view]:
                del self.pointers[number][key]
        for number in mine.difference(self.pointers):
            held = self.held.get(number, {})
            self.pointers[number] = {
                key: Pointer(self.me, epoch, self._number) for key, epoch in held.items()
            }
            self._await(number, set(self.view.standings) - {self.me})

    def _await(self, number: int, missing: set[Member]) -> None:
        if missing:
            self.pending[number] = missing
        else:
            self.pending.pop(number, None)

    # --- a home learns what is held --------------------------------------------------------------

    def unheard(self) -> set[Member]:
        """Return the members that this home has to ask what they hold."""
        return set().union(*self.pending.values()) if self.pending else set()

    def report(self, asker: Member) -> list[Held]:
        """Return what is held here in the buckets that are the asker's under this view."""
        return [
            Held(key, epoch)
            for number, contexts in self.held.items()
            if self.view.home(number) == asker
            for key, epoch in contexts.items()
        ]

    def reported(self, member: Member, view: str, entries: Iterable[Held]) -> None:
        """Take what a member said that it holds.

        Args:
            member: Who.
            view: The view under which it said so; another one than this home's says nothing.
            entries: All that it holds in the buckets of this member.

        """
        if view != self.view.hash:
            return
        for held in entries:
            self._witness(held.epoch)
            known = self.pointers.get(homes.bucket(held.key))
            if known is None:
                continue
            at = known.get(held.key)
            if at is None or at.epoch < held.epoch:
                known[held.key] = Pointer(member, held.epoch, 0)
        for number, missing in list(self.pending.items()):
            self._await(number, missing - {member})

    # --- looking a context up --------------------------------------------------------------------

    def ask(self, key: bytes, *, binds: bool) -> tuple[Member, Lookup] | None:
        """Return whom to ask where a context is, and what; None while there is nobody to ask."""
        home = self.view.home(homes.bucket(key)) if self.joined else None
        if home is None:
            return None
        self._number += 1
        return home, Lookup(self.view.hash, self._number, key, binds)

    def lookup(self, asker: Member, asked: Lookup) -> Answer:
        """Answer where a context is; grant it if nobody holds it and the asker would."""
        number = homes.bucket(asked.key)
        if asked.view != self.view.hash or asker not in self.view or number not in self.pointers:
            return Differs()
        known = self.pointers[number]
        at = known.get(asked.key)
        if at is not None and at.member != asker:
            return There(at.member)
        if at is not None and asked.number <= at.number:
            return Later()  # sent before it was granted: it does not say that the grant is unused
        known.pop(asked.key, None)
        if number in self.pending:
            return Later()
        return self._grant(asker, asked) if asked.binds else Unbound()

    def _grant(self, asker: Member, asked: Lookup) -> Answer:
        if self.view.standings[asker] is not Standing.SERVING:
            return There(self.me)
        epoch = self._next_epoch()
        known = self.pointers[homes.bucket(asked.key)]
        known[asked.key] = Pointer(asker, epoch, asked.number)
        return Yours(epoch)

    def accept(self, asked: Lookup, granted: Yours) -> bool:
        """Hold what was granted; False if it is not to be held, because the view has changed.

        This member may since have told another home that it does not hold the context.
        """
        self._witness(granted.epoch)
        if asked.view != self.view.hash or self.standing is not Standing.SERVING:
            return False
        self._hold(asked.key, granted.epoch)
        return True

    def keep(self, key: bytes) -> None:
        """Hold what is here already, before a pod that was alone joins a group."""
        self._hold(key, self._next_epoch())

    # --- letting go ------------------------------------------------------------------------------

    def holds(self, key: bytes) -> bool:
        """Whether a context is here."""
        return key in self.held.get(homes.bucket(key), ())

    def epoch(self, key: bytes) -> int:
        """Return the epoch in which a context is held here; 0 if it is not."""
        return self.held.get(homes.bucket(key), {}).get(key, 0)

    def release(self, key: bytes) -> tuple[Member, int] | None:
        """Hold a context no more; return whom to tell, and the epoch that ended, if anybody."""
        number = homes.bucket(key)
        contexts = self.held.get(number, {})
        epoch = contexts.pop(key, None)
        self._given.pop(key, None)
        if not contexts:
            self.held.pop(number, None)
        home = self.view.home(number)
        return None if epoch is None or home is None else (home, epoch)

    def released(self, member: Member, key: bytes, epoch: int) -> None:
        """Forget where a context was; an old word about a newer binding says nothing."""
        known = self.pointers.get(homes.bucket(key), {})
        at = known.get(key)
        if at is not None and at.member == member and at.epoch == epoch:
            del known[key]

    # --- handing over ----------------------------------------------------------------------------

    def take(self, giver: Member, view: str, held: Held) -> TakeAnswer:
        """Hold a context in the place of a member that leaves, as its home.

        Args:
            giver: Who holds it, and has stopped serving it.
            view: Hash of its view.
            held: What; with the epoch that it has there.

        """
        number = homes.bucket(held.key)
        if self._given.get(held.key) == (giver, held.epoch):
            return Taken(self.held[number][held.key])
        if view != self.view.hash or number not in self.pointers:
            return Differs()
        at = self.pointers[number].get(held.key)
        if at is None and number in self.pending:
            return Later()
        if at is None or at.member != giver:
            return Refused("the context is not this member's to give")
        self._witness(held.epoch)
        self._given[held.key] = (giver, held.epoch)
        epoch = self._next_epoch()
        self._hold(held.key, epoch)
        self.pointers[number][held.key] = Pointer(self.me, epoch, self._number)
        return Taken(epoch)

    # --- its own ---------------------------------------------------------------------------------

    def _hold(self, key: bytes, epoch: int) -> None:
        self.held.setdefault(homes.bucket(key), {})[key] = epoch

    def _next_epoch(self) -> int:
        self._epoch = max(self._epoch + 1, self._clock())
        return self._epoch

    def _witness(self, epoch: int) -> None:
        self._epoch = max(self._epoch, epoch)
