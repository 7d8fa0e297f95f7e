"""The one frame between host and worker: a SEQPACKET message, a msgspec array with opaque payload.

Both directions are tagged unions. What a worker sends is untrusted: it is decoded strictly, and the
plugin and context of an answer come from the host's own call table, never from the frame. Payloads
of `SEGMENT_BYTES` and more do not travel in the frame but in a memfd that the host made.
"""

from __future__ import annotations

import enum

import msgspec

# From here on a copy through the socket costs more than a sealed memfd, and the default socket
# buffer (208 KiB) would soon refuse the message.
SEGMENT_BYTES = 64 << 10
# Durable slots of this size and more go into a memfd, so that the words of an error have room.
STATE_BYTES = SEGMENT_BYTES // 2
# Largest frame: header, context and traceparent are bounded far below 4 KiB.
FRAME_BYTES = SEGMENT_BYTES + (4 << 10)


class Codec(enum.IntEnum):
    """How a payload is encoded; the host never looks inside."""

    JSON = 0
    MSGPACK = 1
    PROTOBUF = 2
    RAW = 3


class _Frame(msgspec.Struct, array_like=True, frozen=True, gc=False, tag_field="frame"):
    pass


class _Untrusted(_Frame, frozen=True, forbid_unknown_fields=True):
    pass


class Restored(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """The durable slots that a binding begins with."""

    digest: str
    """Of the code that wrote them; empty if unknown."""
    slots: bytes
    """Map of attribute to encoded value, or nil; empty when `size` is set."""
    size: int = 0
    """That many bytes at the end of the call's segment are the map."""


class Bind(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """Fused into the first call of a binding: who the context is."""

    tenant: str
    context: str
    generation: int
    restored: Restored | None = None


# --- host to worker ------------------------------------------------------------------------------


class Call(_Frame, frozen=True, tag=1):
    """Call one function in one binding."""

    call: int
    plugin: int
    function: int
    context: int
    """Handle of the binding, chosen by the host, unique in the life of the host."""
    timeout_microseconds: int
    """Budget of the call once the worker takes it; the SDK's timer raises after it."""
    codec: int
    traceparent: str
    body: bytes
    """Empty when `segment` is set: the payload is in the memfd that follows the frame."""
    segment: bool = False
    bind: Bind | None = None


class Reclaim(_Frame, frozen=True, tag=2):
    """Run `on_exit(cause)` of a binding, then forget it."""

    call: int
    context: int
    cause: str
    timeout_microseconds: int


class Segment(_Frame, frozen=True, tag=3):
    """The memfd a worker asked for with `SegmentWanted`; it follows the frame."""

    call: int
    size: int


class Panicked(_Frame, frozen=True, tag=4):
    """Told to a fresh worker before its first call: the one before it died."""

    message: str


class Shared(_Frame, frozen=True, tag=5):
    """What came of publishing, or what was published."""

    call: int
    size: int
    """Of the memfd that follows the frame; 0 = none does."""
    refused: str = ""
    """Why it is not published; empty if it is."""


ToWorker = Call | Reclaim | Segment | Panicked | Shared

# --- worker to host ------------------------------------------------------------------------------


class Checkpoint(
    msgspec.Struct, array_like=True, frozen=True, gc=False, forbid_unknown_fields=True
):
    """The durable slots that a call changed; the first of an epoch holds all of them."""

    epoch: int
    """Generation of the binding."""
    n: int
    """1 for the first of the epoch, and one more each time."""
    slots: bytes
    """As in `Restored`."""
    size: int = 0
    """That many bytes at the end of the call's segment are the map."""


class FunctionInfo(
    msgspec.Struct, array_like=True, frozen=True, gc=False, forbid_unknown_fields=True
):
    """One callable function of a plugin."""

    name: str
    summary: str
    arguments_schema: bytes
    """JSON Schema of the arguments object; opaque to the host but for being valid JSON."""
    result_schema: bytes


class Loaded(_Untrusted, frozen=True, tag=1):
    """The plugin is imported and the worker is in its serve phase."""

    functions: tuple[FunctionInfo, ...]
    load_seconds: float
    """Import of the plugin's module."""
    start_seconds: float
    """From fork to the serve phase, without the import."""


class LoadFailed(_Untrusted, frozen=True, tag=2):
    """The plugin could not be loaded; the worker exits after this."""

    reason: str
    """ImportFailed | EntryPointInvalid | ConfinementImpossible."""
    message: str


class Result(_Untrusted, frozen=True, tag=3):
    """A call returned."""

    call: int
    codec: int
    body: bytes
    bind_seconds: float = 0.0
    """Time of `on_start`, when this call bound the context."""
    segment: bool = False
    """The payload is in the segment of this call, `size` bytes of it."""
    size: int = 0
    checkpoint: Checkpoint | None = None


class Failed(_Untrusted, frozen=True, tag=4):
    """A call did not return a result; the binding lives on unless `bound` is False."""

    call: int
    kind: str
    """Arguments | Raised | Timeout | Result (unencodable, too large) | Start (on_start raised) |
    Restore (on_restore refused the state) | Durable (the slots cannot be stored)."""
    type: str
    """Name of the exception's class."""
    message: str
    """Never a path of the host."""
    argument: str = ""
    """Path of the argument at fault, for kind Arguments."""
    bound: bool = True
    bind_seconds: float = 0.0
    checkpoint: Checkpoint | None = None


class Reclaimed(_Untrusted, frozen=True, tag=5):
    """A binding is gone from the worker."""

    call: int
    reported_bytes: int
    """The worker's own estimate of the binding's slots; it may lie."""
    error: str = ""
    """What `on_exit` raised, if it did."""


class SegmentWanted(_Untrusted, frozen=True, tag=6):
    """A result is too large for a frame; the host answers with `Segment` or kills."""

    call: int
    size: int


class Log(_Untrusted, frozen=True, tag=7):
    """What the plugin printed or logged."""

    level: str
    """debug | info | warning | error; standard output is info, standard error warning."""
    message: str
    call: int = 0


class Publish(_Untrusted, frozen=True, tag=8):
    """A plugin wants to publish; the host answers with a `Segment` to fill, or with `Shared`."""

    call: int
    name: str
    size: int
    """0 takes away what was published under the name."""


class Filled(_Untrusted, frozen=True, tag=9):
    """The segment of the last `Publish` is filled; the host answers with `Shared`."""

    call: int


class Borrow(_Untrusted, frozen=True, tag=10):
    """A plugin wants to read what one published; the host answers with `Shared`."""

    call: int
    plugin: str
    name: str


FromWorker = (
    Loaded
    | LoadFailed
    | Result
    | Failed
    | Reclaimed
    | SegmentWanted
    | Log
    | Publish
    | Filled
    | Borrow
)
