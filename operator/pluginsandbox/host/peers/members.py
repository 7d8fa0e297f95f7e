"""Who is in the group, as one pod knows it. Pure; every pod's knowledge only ever grows.

A member is an address and an incarnation: a pod that gets the address of a pod that is gone is
another member. For each address the greatest (incarnation, standing) is known, so that two tables
merge the same in any order and a member that went never returns. What a pod sees is therefore an
ever rising sequence of views, and two pods that see equal views agree on everything in them.
"""

from __future__ import annotations

import enum
import functools
import hashlib
from collections.abc import Iterable, Mapping
from typing import NamedTuple

import msgspec

from pluginsandbox.host.peers import homes

# Of a table: addresses of pods that went are kept, so that none comes back by an old message.
MAX_ADDRESSES = 8192
HASH_DIGITS = 16


class Standing(enum.IntEnum):
    """How far a member has come; it only goes forward."""

    JOINING = 0
    """Makes itself known; holds nothing yet."""
    SERVING = 1
    LEAVING = 2
    """Serves what it holds, and takes nothing new."""
    GONE = 3
    """Holds nothing any more."""


class Member(NamedTuple):
    """One life of one pod."""

    address: str
    incarnation: int
    """Greater than that of every member before it at this address."""

    def __str__(self) -> str:
        return f"{self.address}/{self.incarnation}"


class Entry(NamedTuple):
    """What is known of an address."""

    incarnation: int
    standing: Standing


NOBODY = Entry(0, Standing.GONE)


class View:
    """The members at one moment.

    Args:
        standings: Of all that are not gone.
        before: The view that it follows.

    """

    def __init__(self, standings: Mapping[Member, Standing], before: View | None = None) -> None:
        self.standings = dict(sorted(standings.items()))
        self.serving = [
            member for member, standing in self.standings.items() if standing is Standing.SERVING
        ]
        """Those that take new contexts."""
        self.homes: homes.Homes = homes.Homes(
            self.serving, None if before is None else before.homes
        )

    @functools.cached_property
    def hash(self) -> str:
        """Equal for equal views, and for no others."""
        lines = "".join(f"{member} {standing}\n" for member, standing in self.standings.items())
        return hashlib.sha256(lines.encode()).hexdigest()[:HASH_DIGITS]

    def home(self, bucket: int) -> Member | None:
        """Return who keeps the pointers of a bucket; None when nobody takes anything new."""
        return self.homes.owners[bucket]

    def __contains__(self, member: object) -> bool:
        return member in self.standings

    def __len__(self) -> int:
        return len(self.standings)


class Members(msgspec.Struct):
    """What one pod knows of all addresses that it has heard of."""

    entries: dict[str, Entry] = {}
    changes: int = 0
    """Grows with each that is learnt."""

    def learn(self, heard: Iterable[tuple[str, tuple[int, int]]]) -> bool:
        """Take what another pod knows; return whether any of it was new.

        Args:
            heard: Address, and the incarnation and standing that are known of it.

        """
        before = self.changes
        for address, entry in heard:
            known = self.entries.get(address)
            if known is not None and known >= entry:
                continue
            if known is None and len(self.entries) >= MAX_ADDRESSES:
                self._forget_one()
            self.entries[address] = Entry(entry[0], Standing(entry[1]))
            self.changes += 1
        return self.changes != before

    def view(self, before: View) -> View:
        """Return who is there now, after an earlier view."""
        standings = {
            Member(address, entry.incarnation): entry.standing
            for address, entry in self.entries.items()
            if entry.standing is not Standing.GONE
        }
        return View(standings, before)

    def of(self, address: str) -> Entry:
        """Return what is known of an address."""
        return self.entries.get(address, NOBODY)

    def _forget_one(self) -> None:
        """Make room: the member that went first by its own clock is the least likely to matter."""
        gone = (item for item in self.entries.items() if item[1].standing is Standing.GONE)
        oldest = min(gone, key=lambda item: item[1].incarnation, default=None)
        if oldest is not None:
            del self.entries[oldest[0]]
