"""Frames of every kind as an honest worker sends them: what is damaged, and what must arrive."""

from __future__ import annotations

import msgspec

from pluginsandbox.host.frames import (
    SEGMENT_BYTES,
    Borrow,
    Checkpoint,
    Failed,
    Filled,
    FromWorker,
    FunctionInfo,
    Loaded,
    LoadFailed,
    Log,
    Publish,
    Reclaimed,
    Result,
    SegmentWanted,
)

_SLOTS = msgspec.msgpack.encode({"total": b"\x01", "note": None})
HONEST: tuple[FromWorker, ...] = (
    Loaded((FunctionInfo("reserve", "Reserve.", b"{}", b"{}"),), 0.1, 0.2),
    LoadFailed("ImportFailed", "inventory.py line 3: invalid syntax"),
    Result(1, 0, b'{"left": 3}'),
    Result(1, 0, b"", 0.5, segment=True, size=SEGMENT_BYTES),
    Result(1, 0, b"{}", checkpoint=Checkpoint(7, 1, _SLOTS)),
    Result(1, 0, b"", 0.0, True, SEGMENT_BYTES, Checkpoint(7, 2, b"", 40_000)),
    Failed(2, "Arguments", "ArgumentsError", "is missing", "sku"),
    Failed(2, "Start", "ValueError", "no", bound=False),
    Failed(2, "Restore", "ValueError", "too old", bound=False),
    Failed(2, "Durable", "DurableError", "too much", checkpoint=Checkpoint(7, 3, b"", 40_000)),
    Reclaimed(3, 512),
    SegmentWanted(4, 1 << 20),
    Log("info", "hello"),
    Publish(1, "prices", 5000),
    Publish(1, "prices", 0),
    Filled(1),
    Borrow(2, "p", "prices"),
)
