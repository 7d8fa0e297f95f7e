"""What goes between members, and how it is written: msgpack below one path of HTTP each."""

from __future__ import annotations

from typing import Annotated, TypeVar

import msgspec

from pluginsandbox.host.durable import Record
from pluginsandbox.host.peers.answers import Answer, Differs, Held, TakeAnswer
from pluginsandbox.host.peers.members import MAX_ADDRESSES, Members, Standing

PATH = "/peers/v1/"
HELLO, LOOKUP, RELEASED = "hello", "lookup", "released"
TAKE, CALL, CONTEXT = "take", "call", "context"

MessageT = TypeVar("MessageT")
Name = Annotated[str, msgspec.Meta(max_length=253)]
Number = Annotated[int, msgspec.Meta(ge=0)]
Rows = Annotated[list[tuple[Name, Number, Number]], msgspec.Meta(max_length=MAX_ADDRESSES)]
"""Address, incarnation, standing."""


class Hello(msgspec.Struct, frozen=True, array_like=True):
    """Who is there, as the sender knows it."""

    table: msgspec.Raw
    """As `Table` writes it."""


class Welcome(msgspec.Struct, frozen=True, array_like=True):
    """The same from whoever was greeted, who knows now what the other does."""

    table: msgspec.Raw
    view: str = ""
    """By which it says what it holds; empty of a host that does not say so yet."""
    held: list[Held] = []
    """All that it holds in the buckets of who greeted."""


class Table:
    """What a member tells of who is there: written once for each change, and read only if new.

    Args:
        members: Whom it knows.

    """

    def __init__(self, members: Members) -> None:
        self._members = members
        self._changes = -1
        self._written = msgspec.Raw()

    @property
    def written(self) -> msgspec.Raw:
        """The table; equal for equal knowledge."""
        if self._changes != self._members.changes:
            entries = sorted(self._members.entries.items())
            rows = [(address, *entry) for address, entry in entries]
            self._written = msgspec.Raw(msgspec.msgpack.encode(rows))
            self._changes = self._members.changes
        return self._written

    def read(self, table: msgspec.Raw) -> dict[str, tuple[int, int]]:
        """Return what another member's table says, as a node takes it; empty if it is the same.

        Raises:
            msgspec.DecodeError: It is no table.

        """
        if table == self.written:
            return {}
        return {
            address: (incarnation, min(standing, Standing.GONE))
            for address, incarnation, standing in _TABLE.decode(table)
        }


class Noted(msgspec.Struct, frozen=True, array_like=True):
    """The answer where there is nothing to say."""


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


_TABLE: msgspec.msgpack.Decoder[list[tuple[str, int, int]]] = msgspec.msgpack.Decoder(Rows)
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
