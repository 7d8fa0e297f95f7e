"""What a host tells the operator on `/stats`: its plugins, its wall, and its last two minutes.

Plain data (msgspec), shared by the host that writes it and the operator that reads it. The operator
takes it for hearsay: it explains and never decides, and every string and list is bounded.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

MAX_BYTES = 256 << 10
"""Of the whole document: what the bounds below allow in JSON's longest spelling, and a little."""
MESSAGE_CHARACTERS = 1024
"""What a host says of one plugin at most; the status shows no more."""
MISSING_ACTS = 64
MISSING_CHARACTERS = 256
"""What it says of an act that was not stopped."""

SAMPLES = 120
"""Seconds that are kept: what a restarted autoscaler needs to read its windows back."""
MAX_COUNT = 10**9
"""Of anything in one second: thousandths of a million calls. More is a lie."""

PluginState = Literal["Pending", "Loaded", "Failed"]
Text = Annotated[str, msgspec.Meta(max_length=4096)]
Word = Annotated[str, msgspec.Meta(max_length=128)]
Count = Annotated[int, msgspec.Meta(ge=0, le=MAX_COUNT)]
MAX_TIME = 2**40


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
    missing: Annotated[tuple[Text, ...], msgspec.Meta(max_length=MISSING_ACTS)] = ()
    """Forbidden acts that were not stopped, for a person."""


class HostSample(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    """One second of a host."""

    time: Annotated[int, msgspec.Meta(ge=0, le=MAX_TIME)]
    """Unix time of its end, in seconds."""
    concurrency: Count
    """Mean number of calls in the host, those that wait included, in thousandths."""
    queued: Count
    """Mean number of calls that waited, in thousandths."""
    requests: Count
    """Calls that came, the refused ones included."""
    refused: Count
    """Calls refused for want of room (429)."""
    contexts: Count
    """Contexts at its end."""
    calls: Count = 0
    """Calls in the host at its end, those that wait included."""
    waiting: Count = 0
    """Calls that waited at its end."""


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


class HostLoad(msgspec.Struct, frozen=True, rename="camel"):
    """The part of the document that the autoscaler reads, apart from what only explains."""

    samples: Annotated[tuple[HostSample, ...], msgspec.Meta(max_length=SAMPLES)]
    """One for each of the last 120 s, oldest first."""


def decode_load(data: bytes) -> tuple[HostSample, ...]:
    """Read the samples of the document.

    Raises:
        msgspec.DecodeError: It is no such document, or a number is out of bounds.

    """
    return msgspec.json.decode(data, type=HostLoad).samples


def encode(stats: HostStats) -> bytes:
    """Write the document."""
    return msgspec.json.encode(stats)
