"""Whatever a worker sends is a frame within bounds or a ProtocolError, never anything else."""

from __future__ import annotations

import math
import os

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pluginsandbox.host.frames import (
    FRAME_BYTES,
    SEGMENT_BYTES,
    Borrow,
    Checkpoint,
    Failed,
    FromWorker,
    Loaded,
    LoadFailed,
    Log,
    Publish,
    Reclaimed,
    Result,
    SegmentWanted,
)
from pluginsandbox.host.incoming import MESSAGE_CHARACTERS, ProtocolError, decode, slots
from tests.hostile.honest import HONEST

encode = msgspec.msgpack.encode
LONG = "x" * (MESSAGE_CHARACTERS + 1)

OUT_OF_BOUNDS: list[FromWorker] = [
    Result(1, 0, bytes(SEGMENT_BYTES)),
    Result(1, 0, b"", math.nan),
    Result(1, 0, b"", -1.0),
    Result(1, 0, b"", math.inf),
    Result(1, 0, b"", segment=True, size=-1),
    Failed(1, "Kaputt", "E", "m"),
    Failed(1, "Raised", LONG, "m"),
    Failed(1, "Raised", "E", LONG),
    Failed(1, "Raised", "E", "m", LONG),
    Failed(1, "Raised", "E", "m", bind_seconds=math.nan),
    Result(1, 0, b"", checkpoint=Checkpoint(7, 0, b"\x80")),
    Result(1, 0, b"", checkpoint=Checkpoint(7, 1, b"", -1)),
    Failed(1, "Raised", "E", "m", checkpoint=Checkpoint(7, -1, b"\x80")),
    Failed(1, "Raised", "E", "m", checkpoint=Checkpoint(7, 1, b"", 1 << 50)),
    Reclaimed(1, -1),
    Reclaimed(1, 1 << 62),
    Reclaimed(1, 0, LONG),
    SegmentWanted(1, 0),
    SegmentWanted(1, 1 << 50),
    Log("fatal", "m"),
    Log("info", LONG),
    Loaded((), math.nan, 0.0),
    Loaded((), 0.0, -1.0),
    LoadFailed("Whim", "m"),
    Publish(1, LONG, 1),
    Publish(1, "x", -1),
    Publish(1, "x", 1 << 50),
    Borrow(1, LONG, "x"),
    Borrow(1, "x", LONG),
    LoadFailed("ImportFailed", LONG),
]


@pytest.mark.parametrize("frame", HONEST, ids=repr)
def test_honest_frames_arrive_as_they_were(frame: FromWorker) -> None:
    assert decode(encode(frame)) == frame


@pytest.mark.parametrize("frame", OUT_OF_BOUNDS, ids=lambda frame: repr(frame)[:60])
def test_frames_out_of_bounds_are_refused(frame: FromWorker) -> None:
    with pytest.raises(ProtocolError, match="out of bounds"):
        decode(encode(frame))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xc1",
        encode([1]),
        encode([99, 1]),
        encode([3, 1, 0, b"", 0.0, False, 0, "one more"]),
        encode([3, "1", 0, b""]),
        encode([3, 1, 0, "text for bytes"]),
        encode([3, 2**64 - 1 - 2**63, 0, b""]) + b"trailing",
        encode([7, "info", b"\xff"]),
        encode({"frame": 3}),
        encode([7, "info", "m", True]),
        b"\x94\x07\xa4info\xa2\xff\xfe\x00",  # no UTF-8
        b"\x91" * 60_000,  # nested deeper than any stack
        b"\xdf\xff\xff\xff\xff",  # a map of 4 billion entries
        b"\xdd\xff\xff\xff\xff",
    ],
    ids=lambda data: repr(data[:24]),
)
def test_malformed_frames_are_refused(data: bytes) -> None:
    with pytest.raises(ProtocolError, match="malformed"):
        decode(data)


def refused_or_bounded(data: bytes) -> None:
    try:
        frame = decode(data)
    except ProtocolError:
        return
    assert isinstance(frame, FromWorker)


@given(st.binary(max_size=512))
@example(b"\x00" * FRAME_BYTES)
@settings(max_examples=500)
def test_any_bytes_are_a_frame_or_refused(data: bytes) -> None:
    refused_or_bounded(data)


@given(
    st.recursive(
        st.none()
        | st.booleans()
        | st.integers(-(2**63), 2**64 - 1)
        | st.floats()
        | st.text()
        | st.binary(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        max_leaves=20,
    )
)
@settings(max_examples=500)
def test_any_value_is_a_frame_or_refused(value: object) -> None:
    refused_or_bounded(encode(value))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        encode([b"x"]),
        encode({"a": "text"}),
        encode({1: b"x"}),
        encode({"a": b"x"})[:-1],
        b"\xdf\xff\xff\xff\xff",
        b"\x81" * 60_000,
    ],
    ids=lambda data: repr(data[:24]),
)
def test_malformed_durable_slots_are_refused(data: bytes) -> None:
    with pytest.raises(ProtocolError, match="malformed durable slots"):
        slots(data)


@given(st.binary(max_size=512) | st.dictionaries(st.text(), st.none() | st.binary()).map(encode))
@settings(max_examples=500)
def test_any_bytes_are_durable_slots_or_refused(data: bytes) -> None:
    try:
        found = slots(data)
    except ProtocolError:
        return
    assert all(
        type(name) is str and type(value) in {bytes, type(None)} for name, value in found.items()
    )


def test_a_view_of_a_buffer_is_copied_out_of_it() -> None:
    buffer = bytearray(encode(Result(1, 0, b"payload")))
    frame = decode(memoryview(buffer))
    buffer[:] = os.urandom(len(buffer))
    assert frame == Result(1, 0, b"payload")
