"""What goes between members, and how it is written: msgpack below one path of HTTP each."""

from __future__ import annotations

from typing import Annotated, TypeVar

import msgspec

from pluginsandbox.host.durable import Record
from pluginsandbox.host.peers.answers import Answer, Differs, Held, TakeAnswer
from pluginsandbox.host.peers.members import MAX_ADDRESSES, Entry, Members, Standing

PATH = "/peers/v1/"
HELLO, LOOKUP, REPORT, RELEASED = "hello", "lookup", "report", "released"
TAKE, CALL, CONTEXT = "take", "call", "context"

MessageT = TypeVar("MessageT")
Name = Annotated[str, msgspec.Meta(max_length=253)]


class Hello(msgspec.Struct, frozen=True, array_like=True):
    """Who is there, as the sender knows it."""

    table: Annotated[list[tuple[Name, int, int]], msgspec.Meta(max_length=MAX_ADDRESSES)]
    """Address, incarnation, standing."""

    @classmethod
    def of(cls, members: Members) -> Hello:
        """Return what a member says of who is there."""
        return cls([(address, *entry) for address, entry in members.entries.items()])

    def entries(self) -> list[tuple[str, Entry]]:
        """Return the same as a node takes it."""
        return [
            (address, Entry(incarnation, Standing(min(standing, Standing.GONE))))
            for address, incarnation, standing in self.table
        ]


class Report(msgspec.Struct, frozen=True, array_like=True):
    """Asks for all that the receiver holds in the sender's buckets."""

    view: str


class Reported(msgspec.Struct, frozen=True, array_like=True):
    """All of it; None if the views differ."""

    held: list[Held] | None


class Released(msgspec.Struct, frozen=True, array_like=True):
    """The sender holds a context no more."""

    key: bytes
    epoch: int


class Moving(msgspec.Struct, frozen=True, array_like=True):
    """Asks the context's home to hold it in the sender's place."""

    view: str
    held: Held
    tenant: str
    context: str
    kept: bool
    """It was made by name, and lives on when nothing is bound in it."""
    age_seconds: float
    deadline_seconds: float
    """From its beginning."""
    records: list[Record]


class Forward(msgspec.Struct, frozen=True, array_like=True):
    """A call that came to another door, built anew from what was understood of it."""

    tenant: str
    context: str
    plugin: str
    function: str
    codec: int
    body: bytes
    waited: float
    """Seconds since it was here."""
    remaining: float | None
    """Seconds until its caller stops waiting."""
    existing: int | None
    traceparent: str


class Outcome(msgspec.Struct, frozen=True, array_like=True, tag="outcome"):
    """The answer to a caller, to be passed on as it is."""

    status: int
    headers: str
    body: bytes
    seconds: float
    """From here to here."""


ANSWER: msgspec.msgpack.Decoder[Answer] = msgspec.msgpack.Decoder(Answer)
TAKE_ANSWER: msgspec.msgpack.Decoder[TakeAnswer] = msgspec.msgpack.Decoder(TakeAnswer)
OUTCOME: msgspec.msgpack.Decoder[Outcome | Differs] = msgspec.msgpack.Decoder(Outcome | Differs)


def encode(message: msgspec.Struct) -> bytes:
    """Write a message."""
    return msgspec.msgpack.encode(message)


def decode(data: bytes, type_: type[MessageT]) -> MessageT:
    """Read a message.

    Raises:
        msgspec.DecodeError: It is no such message.

    """
    return msgspec.msgpack.decode(data, type=type_)
