"""What members ask and answer each other about contexts. Plain data."""

from __future__ import annotations

import msgspec

from pluginsandbox.host.peers.members import Member


class Lookup(msgspec.Struct, frozen=True, array_like=True):
    """Asks a context's home where it is."""

    view: str
    """Hash of the asker's view."""
    number: int
    """Grows with each lookup of the asker; an older one that comes late says nothing."""
    key: bytes
    binds: bool
    """Whether the asker would hold it, if nobody does."""


class There(msgspec.Struct, frozen=True, array_like=True, tag="there"):
    """That member holds it, or has the right to."""

    member: Member


class Yours(msgspec.Struct, frozen=True, array_like=True, tag="yours"):
    """The asker may hold it."""

    epoch: int


class Unbound(msgspec.Struct, frozen=True, array_like=True, tag="unbound"):
    """Nobody holds it."""


class Later(msgspec.Struct, frozen=True, array_like=True, tag="later"):
    """Not known yet: not every member has said what it holds."""


class Differs(msgspec.Struct, frozen=True, array_like=True, tag="differs"):
    """The views differ: the asker is to compare notes first."""


class Taken(msgspec.Struct, frozen=True, array_like=True, tag="taken"):
    """The home holds the context now, in the giver's place."""

    epoch: int


class Refused(msgspec.Struct, frozen=True, array_like=True, tag="refused"):
    """It does not, and will not."""

    reason: str = ""


Answer = There | Yours | Unbound | Later | Differs
TakeAnswer = Taken | Refused | Later | Differs


class Held(msgspec.Struct, frozen=True, array_like=True):
    """One context that a member holds."""

    key: bytes
    epoch: int
