"""The door for other members, port 8082: takes what is sealed, and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, cast

import msgspec
import structlog

from pluginsandbox.host import problem as problems
from pluginsandbox.host.elsewhere import ContextRequest
from pluginsandbox.host.http_head import Head, malformed
from pluginsandbox.host.http_protocol import Connection
from pluginsandbox.host.peers import messages, seal
from pluginsandbox.host.peers.answers import Differs, Lookup
from pluginsandbox.host.peers.keys import Keys
from pluginsandbox.host.peers.links import DIFFERS, OK
from pluginsandbox.host.peers.members import Member
from pluginsandbox.host.peers.messages import (
    Forward,
    Hello,
    Moving,
    Noted,
    Outcome,
    Released,
    Welcome,
)
from pluginsandbox.host.peers.node import Node
from pluginsandbox.host.peers.seal import ANY_INCARNATION, ForgedError, Seal, Sealer
from pluginsandbox.host.problem import Problem

# A report of a hundred thousand contexts, or a context's durable state.
MAX_BYTES = 16 << 20
MEDIA_TYPE = "Content-Type: application/msgpack\r\n"

log = structlog.get_logger(__name__)


class Relay:
    """Takes the answer to a caller's request where a connection would, and sends it back.

    Args:
        connection: To the member that sent the request.
        answer: Seals and sends.
        started: When it came, in seconds on the host's clock.
        clock: Seconds.

    """

    def __init__(
        self,
        connection: Connection,
        answer: Callable[[int, msgspec.Struct], None],
        started: float,
        clock: Callable[[], float],
    ) -> None:
        self._connection = connection
        self._answer = answer
        self._started = started
        self._clock = clock

    def respond(self, status: int, headers: str, body: bytes) -> None:
        """Send the answer back."""
        seconds = self._clock() - self._started
        self._answer(OK, Outcome(status, headers, body, seconds))

    def refuse(self, problem: Problem, headers: str = "") -> None:
        """Send an error back."""
        told = f"Content-Type: {problems.MEDIA_TYPE}\r\n{problem.headers()}{headers}"
        self.respond(problem.kind.status, told, problem.document())

    def elsewhere(self) -> None:
        """Say that the context is not here; nothing ran."""
        self._answer(DIFFERS, Differs())

    def watch(self, pending: object) -> None:
        """Have the request let go when its sender is gone."""
        self._connection.pending = pending


class Receiver(Protocol):
    """What the door hands messages to."""

    def forwarded(self, relay: Relay, forward: Forward) -> None:
        """Run a call."""

    def asked(self, relay: Relay, request: ContextRequest) -> None:
        """Answer a request about a context."""

    def offered(self, giver: Member, moving: Moving) -> msgspec.Struct:
        """Take a context over, or not."""

    def greeted(self, sender: Member, hello: Hello) -> Welcome:
        """Learn what a member tells of who is there, and tell it the same.

        Raises:
            msgspec.DecodeError: What it tells cannot be read.

        """

    def abandoned(self, pending: object) -> None:
        """Let a request go whose sender is gone."""


class PeerDoor:
    """Handles messages of other members.

    Args:
        node: Who is asked.
        keys: By which messages are verified.
        sealer: Verifies.
        receiver: Acts on them.
        clock: Seconds.

    """

    def __init__(
        self,
        node: Node,
        keys: Keys,
        sealer: Sealer,
        receiver: Receiver,
        clock: Callable[[], float],
    ) -> None:
        self._node = node
        self._keys = keys
        self._sealer = sealer
        self._receiver = receiver
        self._clock = clock
        self.forged = 0
        """Messages that were not taken."""
        self._kinds: dict[str, tuple[type[Any], Callable[..., msgspec.Struct | None]]] = {
            messages.HELLO: (Hello, self._hello),
            messages.LOOKUP: (Lookup, self._lookup),
            messages.RELEASED: (Released, self._released),
            messages.TAKE: (Moving, self._take),
            messages.CALL: (Forward, self._call),
            messages.CONTEXT: (ContextRequest, self._context),
        }

    def admit(self, head: Head) -> int:
        """Let in what a member has sealed; nothing of its body has been read yet."""
        path = head.target.decode("latin-1")
        kind = path.removeprefix(messages.PATH)
        try:
            found = self._check(head, path, kind)
        except (ForgedError, ValueError) as error:
            self.forged += 1
            if self.forged & (self.forged - 1) == 0:  # the 1st, 2nd, 4th, 8th, ...
                log.warning("a message to the peers' door was refused", why=str(error))
            raise Problem(problems.STRANGER, "only pods of this sandbox are served here") from None
        head.route = (kind, found)
        return MAX_BYTES

    def _check(self, head: Head, path: str, kind: str) -> Seal:
        found = self._sealer.check(self._keys.all, path, self._node.me, head.headers)
        if head.method != b"POST" or kind not in self._kinds:
            raise ForgedError("path")
        if found.to.incarnation == ANY_INCARNATION and kind != messages.HELLO:
            raise ForgedError("receiver")
        return found

    def handle(self, connection: Connection, head: Head, body: bytes) -> None:
        """Act on a message."""
        kind, found = cast("tuple[str, Seal]", head.route)
        if not seal.digest_matches(found, body):
            raise Problem(problems.STRANGER, "only pods of this sandbox are served here")
        type_, act = self._kinds[kind]
        try:
            message = messages.decode(body, type_)
        except (msgspec.MsgspecError, ValueError) as error:
            raise _malformed(error) from None

        def answer(status: int, document: msgspec.Struct) -> None:
            data = messages.encode(document)
            headers = MEDIA_TYPE + seal.answer_headers(found, self._node.me, data)
            connection.respond(status, headers, data)

        relay = Relay(connection, answer, connection.started, self._clock)
        document = act(found.sender, message, relay)
        if document is not None:
            answer(DIFFERS if isinstance(document, Differs) else OK, document)

    def hang_up(self, connection: Connection) -> None:
        """Let the request go whose sender is gone."""
        if connection.pending is not None:
            self._receiver.abandoned(connection.pending)

    # --- one for each kind -----------------------------------------------------------------------

    def _hello(self, sender: Member, hello: Hello, _: Relay) -> msgspec.Struct:
        try:
            return self._receiver.greeted(sender, hello)
        except msgspec.MsgspecError as error:
            raise _malformed(error) from None

    def _lookup(self, sender: Member, asked: Lookup, _: Relay) -> msgspec.Struct:
        return self._node.lookup(sender, asked)

    def _released(self, sender: Member, released: Released, _: Relay) -> msgspec.Struct:
        self._node.released(sender, released.key, released.epoch)
        return Noted()

    def _take(self, sender: Member, moving: Moving, _: Relay) -> msgspec.Struct:
        return self._receiver.offered(sender, moving)

    def _call(self, _: Member, forward: Forward, relay: Relay) -> None:
        self._receiver.forwarded(relay, forward)

    def _context(self, _: Member, request: ContextRequest, relay: Relay) -> None:
        self._receiver.asked(relay, request)


def _malformed(error: Exception) -> Problem:
    return malformed(f"a peer of another version? {error}")
