"""Which member keeps a context's pointer: rendezvous hashing of the HMAC of its id. Pure.

A context falls into one of 1024 buckets, and each bucket belongs to the member that scores highest
for it. A member's scores are one stream of bytes, made once; a member that comes takes buckets from
all, one that goes leaves its own to all, and no other bucket changes hands.
"""

from __future__ import annotations

import functools
import hashlib
import hmac
import struct
from array import array
from collections.abc import Iterable
from itertools import compress
from operator import gt
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pluginsandbox.host.peers.members import Member

BUCKETS = 1024
KEY_BYTES = 16
SCORE_BYTES = 8
# Of members whose scores are kept, 8 KiB each.
REMEMBERED = 512


def salt(namespace: str, sandbox: str) -> bytes:
    """Return what the ids of one sandbox are hashed with.

    It is no secret, and must not be: it is the same in every pod while keys are being rotated. It
    keeps ids out of the tables and logs of pods that have no business with them.
    """
    return f"{namespace}/{sandbox}".encode()


def key(salt_: bytes, tenant: str, name: str) -> bytes:
    """Return what a context is called between pods: the start of an HMAC of its tenant and id."""
    return hmac.digest(salt_, f"{tenant}/{name}".encode(), "sha256")[:KEY_BYTES]


def bucket(key_: bytes) -> int:
    """Return the bucket of a context."""
    return int.from_bytes(key_[:4]) % BUCKETS


class Homes:
    """Which member each bucket belongs to.

    Args:
        members: All that may have buckets.
        before: The same for another set of members, from which most is taken over.

    """

    def __init__(self, members: Iterable[Member], before: Homes | None = None) -> None:
        self.members = frozenset(members)
        self.owners: list[Member | None] = [None] * BUCKETS
        """By bucket; None if there is no member."""
        self.best = [-1] * BUCKETS
        """By bucket: its owner's score."""
        self.changed: set[int] = set()
        """Buckets that have another owner than before."""
        known: frozenset[Member] = frozenset()
        if before is not None:
            self.owners, self.best, known = before.owners, before.best, before.members
        if self.members == known:
            return
        self.owners, self.best = self.owners.copy(), self.best.copy()
        self._take_away(known - self.members, known & self.members)
        for member in sorted(self.members - known):
            scores = _scores(member)
            won = list(compress(range(BUCKETS), map(gt, scores, self.best)))
            self.changed.update(won)
            self._give(member, scores, won)

    def _take_away(self, gone: frozenset[Member], left: frozenset[Member]) -> None:
        if not gone:
            return
        free = [number for number, owner in enumerate(self.owners) if owner in gone]
        self.changed.update(free)
        for number in free:
            self.owners[number], self.best[number] = None, -1
        for member in sorted(left) if free else ():
            scores = _scores(member)
            self._give(member, scores, [n for n in free if scores[n] > self.best[n]])

    def _give(self, member: Member, scores: array[int], numbers: Iterable[int]) -> None:
        for number in numbers:
            self.best[number], self.owners[number] = scores[number], member


@functools.lru_cache(REMEMBERED)
def _scores(member: Member) -> array[int]:
    stream = hashlib.shake_256(str(member).encode()).digest(BUCKETS * SCORE_BYTES)
    return array("Q", struct.unpack(f">{BUCKETS}Q", stream))
