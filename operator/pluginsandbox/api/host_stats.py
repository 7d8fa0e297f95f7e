"""What a host tells the operator on `/stats`: how its plugins fare, and whether the wall holds.

Plain data (msgspec), shared by the host that writes it and the operator that reads it. The operator
takes it for hearsay: it explains and never decides, and every string and list is bounded.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

MAX_BYTES = 64 << 10
"""Of the whole document."""

PluginState = Literal["Pending", "Loaded", "Failed"]
Text = Annotated[str, msgspec.Meta(max_length=4096)]
Word = Annotated[str, msgspec.Meta(max_length=128)]


class PluginStats(msgspec.Struct, frozen=True, rename="camel"):
    """One plugin in one host."""

    name: Word
    state: PluginState
    digest: Word = ""
    """Of the files that were loaded, where it was checked."""
    reason: Word = ""
    """Why it Failed: `host.runtime.PrepareError` has the list."""
    message: Text = ""
    """The same for a person; says what to do."""


class ConfinementStats(msgspec.Struct, frozen=True, rename="camel"):
    """The wall, as the probe worker found it."""

    holds: bool
    """Whether every forbidden act was stopped."""
    landlock_abi: int = 0
    missing: Annotated[tuple[Text, ...], msgspec.Meta(max_length=64)] = ()
    """Forbidden acts that were not stopped, for a person."""


class HostStats(msgspec.Struct, frozen=True, rename="camel"):
    """The whole document; fields of a newer host are ignored."""

    plugins: Annotated[tuple[PluginStats, ...], msgspec.Meta(max_length=16)] = ()
    confinement: ConfinementStats | None = None
    """None until the probe has run."""


def decode(data: bytes) -> HostStats:
    """Read the document.

    Raises:
        msgspec.DecodeError: It is no such document, or a part is out of bounds.

    """
    return msgspec.json.decode(data, type=HostStats)


def encode(stats: HostStats) -> bytes:
    """Write the document."""
    return msgspec.json.encode(stats)
