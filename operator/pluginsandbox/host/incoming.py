"""Frames from a worker are untrusted bytes; here they become frames within bounds, or an error.

Pure. What depends on the moment (is there such a call?) the host's side of the worker checks.
"""

from __future__ import annotations

import msgspec

from pluginsandbox.host.frames import (
    SEGMENT_BYTES,
    STATE_BYTES,
    Borrow,
    Checkpoint,
    Failed,
    Filled,
    FromWorker,
    Loaded,
    LoadFailed,
    Log,
    Publish,
    Reclaimed,
    Result,
    SegmentWanted,
)
from pluginsandbox.sdk.durable import Slots

MESSAGE_CHARACTERS = 4200
"""Longest text a worker sends: a log line and the word that it was cut."""
_SECONDS = 86400.0
_BYTES = 1 << 40
_LEVELS = frozenset(("debug", "info", "warning", "error"))
_FAILURES = frozenset(("Arguments", "Raised", "Timeout", "Result", "Start", "Restore", "Durable"))
_REASONS = frozenset(("ImportFailed", "EntryPointInvalid", "ConfinementImpossible"))

_decode = msgspec.msgpack.Decoder(FromWorker).decode
_decode_slots = msgspec.msgpack.Decoder(Slots).decode


class ProtocolError(Exception):
    """A worker sent what no worker of ours sends; it is to be killed.

    Args:
        detail: What was wrong with it, for a person.

    """


def decode(data: bytes | memoryview) -> FromWorker:
    """Read one frame.

    Raises:
        ProtocolError: It is malformed or out of bounds.

    """
    try:
        frame: FromWorker = _decode(data)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise ProtocolError(f"it sent a malformed frame: {error}") from error
    if not _bounded(frame):
        raise ProtocolError(f"it sent a frame out of bounds: {type(frame).__name__}")
    return frame


def slots(data: bytes) -> Slots:
    """Read the durable slots of a checkpoint.

    Raises:
        ProtocolError: They are malformed; how many and how large they are is not looked at.

    """
    try:
        return _decode_slots(data)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise ProtocolError(f"it sent malformed durable slots: {error}") from error


def _bounded(frame: FromWorker) -> bool:  # noqa: C901, PLR0911 - one line for each kind
    # Comparisons are written so that NaN fails them.
    match frame:
        case Result():
            seconds = 0.0 <= frame.bind_seconds <= _SECONDS
            size = len(frame.body) < SEGMENT_BYTES and 0 <= frame.size <= _BYTES
            return seconds and size and (frame.checkpoint is None or _fits(frame.checkpoint))
        case Failed():
            texts = (frame.type, frame.message, frame.argument)
            return (
                frame.kind in _FAILURES
                and 0.0 <= frame.bind_seconds <= _SECONDS
                and all(len(text) <= MESSAGE_CHARACTERS for text in texts)
                and (frame.checkpoint is None or _fits(frame.checkpoint))
            )
        case Reclaimed():
            return 0 <= frame.reported_bytes <= _BYTES and len(frame.error) <= MESSAGE_CHARACTERS
        case SegmentWanted():
            return STATE_BYTES <= frame.size <= _BYTES
        case Log():
            return frame.level in _LEVELS and len(frame.message) <= MESSAGE_CHARACTERS
        case Publish():
            return 0 <= frame.size <= _BYTES and len(frame.name) <= MESSAGE_CHARACTERS
        case Borrow():
            return len(frame.plugin) <= MESSAGE_CHARACTERS and len(frame.name) <= MESSAGE_CHARACTERS
        case Filled():
            return True
        case Loaded():
            return 0.0 <= frame.load_seconds <= _SECONDS and 0.0 <= frame.start_seconds <= _SECONDS
        case LoadFailed():
            return frame.reason in _REASONS and len(frame.message) <= MESSAGE_CHARACTERS


def _fits(point: Checkpoint) -> bool:
    return point.n > 0 and 0 <= point.size <= _BYTES
