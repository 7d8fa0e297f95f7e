"""How members know each other's messages: HMAC-SHA-256 under a shared key, each message once.

A seal covers method, path, receiver, sender, the sender's view, time, number and the body's digest.
It names the receiver's incarnation, so that what one pod was told means nothing to another, nor to
the next process at the same address. What is not sealed so is answered 401, and learns nothing.
Pure but for the clock that it is given.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from pluginsandbox.host.peers.members import Member

METHOD = "POST"
SENDER, TO, VIEW = "sandbox-peer-sender", "sandbox-peer-to", "sandbox-peer-view"
TIME, NUMBER = "sandbox-peer-time", "sandbox-peer-number"
DIGEST, SIGNATURE = "sandbox-peer-digest", "sandbox-peer-signature"
# Nodes whose clocks are further apart have other troubles.
SKEW_SECONDS = 30.0
# Messages of one sender overtake each other by less than this; far more are never under way.
WINDOW = 4096
MAX_SENDERS = 4096
ANY_INCARNATION = 0
"""Of a receiver that is not known yet; for greetings only."""


class ForgedError(Exception):
    """A message is not a member's, not for this one, too old, or was here before."""


class Seal(NamedTuple):
    """What a verified message says of itself."""

    sender: Member
    to: Member
    view: str
    number: int
    digest: str
    key: bytes
    """By which it was signed, and is to be answered."""


class Window:
    """Which numbers of one sender were here: the newest, and a bit for each that came before."""

    __slots__ = ("_bits", "_newest")

    def __init__(self) -> None:
        self._newest = 0
        self._bits = 0

    def admit(self, number: int) -> bool:
        """Note a number; False if it was here, or may have been."""
        ahead = number - self._newest
        if ahead > 0:
            self._bits = ((self._bits << min(ahead, WINDOW)) | 1) & ((1 << WINDOW) - 1)
            self._newest = number
            return True
        bit = 1 << -ahead
        if -ahead >= WINDOW or self._bits & bit:
            return False
        self._bits |= bit
        return True


class Sealer:
    """Signs what one member sends and checks what it gets.

    Args:
        clock: Unix time in seconds.

    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._number = 0
        self._windows: dict[Member, Window] = {}

    def headers(
        self, key: bytes, path: str, sender: Member, to: Member, view: str, body: bytes
    ) -> tuple[int, str]:
        """Return a message's number and its header lines."""
        self._number += 1
        fields = {
            TO: str(to),
            SENDER: str(sender),
            VIEW: view,
            TIME: str(int(self._clock() * 1000)),
            NUMBER: str(self._number),
            DIGEST: hashlib.sha256(body).hexdigest(),
        }
        fields[SIGNATURE] = _sign(key, (METHOD, path, *fields.values()))
        return self._number, "".join(f"{name}: {value}\r\n" for name, value in fields.items())

    def check(
        self, keys: Iterable[bytes], path: str, me: Member, headers: Mapping[bytes, bytes]
    ) -> Seal:
        """Check a message before its body is here.

        Raises:
            ForgedError: It is not to be taken.

        """
        fields = [headers.get(name.encode(), b"").decode("latin-1") for name in _SIGNED]
        to_, sender, view, time_, number, digest = fields
        signature = headers.get(SIGNATURE.encode(), b"").decode("latin-1")
        parts = (METHOD, path, *fields)
        signed = [key for key in keys if hmac.compare_digest(_sign(key, parts), signature)]
        if not signed:
            raise ForgedError("signature")
        seal = Seal(_member(sender), _member(to_), view, int(number), digest, signed[0])
        if seal.to.address != me.address or seal.to.incarnation not in {
            me.incarnation,
            ANY_INCARNATION,
        }:
            raise ForgedError("receiver")
        if abs(self._clock() - int(time_) / 1000) > SKEW_SECONDS:
            raise ForgedError("time")
        if not self._window(seal.sender).admit(seal.number):
            raise ForgedError("replay")
        return seal

    def _window(self, sender: Member) -> Window:
        window = self._windows.get(sender)
        if window is None:
            if len(self._windows) >= MAX_SENDERS:
                del self._windows[next(iter(self._windows))]
            window = self._windows[sender] = Window()
        return window


_SIGNED = (TO, SENDER, VIEW, TIME, NUMBER, DIGEST)


def answer_headers(seal: Seal, me: Member, body: bytes) -> str:
    """Return the header lines of an answer, by which the asker knows who gave it."""
    signature = _answer(seal.key, seal.number, me, body)
    return f"{SENDER}: {me}\r\n{SIGNATURE}: {signature}\r\n"


def check_answer(key: bytes, number: int, headers: Mapping[str, str], body: bytes) -> Member:
    """Return who gave an answer.

    Raises:
        ForgedError: No member did, or it answers something else.

    """
    member = _member(headers.get(SENDER, ""))
    expected = _answer(key, number, member, body)
    if not hmac.compare_digest(expected, headers.get(SIGNATURE, "")):
        raise ForgedError("signature")
    return member


def digest_matches(seal: Seal, body: bytes) -> bool:
    """Whether a body is the one that was signed."""
    return hmac.compare_digest(hashlib.sha256(body).hexdigest(), seal.digest)


def _answer(key: bytes, number: int, member: Member, body: bytes) -> str:
    return _sign(key, ("answer", str(number), str(member), hashlib.sha256(body).hexdigest()))


def _sign(key: bytes, parts: Iterable[str]) -> str:
    return hmac.digest(key, "\n".join(parts).encode("latin-1", "replace"), "sha256").hex()


def _member(word: str) -> Member:
    address, slash, incarnation = word.rpartition("/")
    if not slash or not incarnation.isdecimal():
        raise ForgedError("member")
    return Member(address, int(incarnation))
