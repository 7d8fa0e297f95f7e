"""How wrong the bytes of a reclaim can be: what is counted beside what the kernel gives and takes.

Each kind of state gets a plugin of its own, so that none grows into what another one freed.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from tests.bench import table
from tests.integration.host_bed import Host, plugin, running

CONTEXTS = 400
"""Of one kind, in one worker: enough that pages and arenas of the allocator average out."""
OWN_CONTEXTS = 3

KINDS = {
    "counter": "one number",
    "cart": "a cart: 20 articles by name",
    "history": "a history: 1,000 structs of three fields",
    "blob": "64 KiB of bytes",
    "shared": "1,000 names that all contexts share",
    "hidden": "64 KiB outside the slots",
    "compressor": "a zlib compressor: memory of C code",
}
STATES = """
import os
import zlib
from typing import Any

import msgspec

from pluginsandbox.sdk import Plugin, function, slot

NAMES = [f"name {n}" for n in range(1000)]


class Scan(msgspec.Struct):
    place: str
    seconds: float
    parcel: int


class States(Plugin):
    state = slot(object, default=None)

    @function
    def fill(self, kind: str) -> int:
        number = self.context.generation
        if kind == "hidden":
            self.elsewhere = os.urandom(65536)
        made: dict[str, Any] = {
            "counter": lambda: number,
            "cart": lambda: {f"article {number} {n}": n for n in range(20)},
            "history": lambda: [Scan(f"place {number} {n}", n + 0.5, n) for n in range(1000)],
            "blob": lambda: os.urandom(65536),
            "shared": lambda: NAMES,
            "hidden": lambda: None,
            "compressor": lambda: zlib.compressobj(),
        }
        self.state.set(made[kind]())
        return os.getpid()
"""


@dataclasses.dataclass(frozen=True)
class Size:
    """Of one kind of state, in bytes for each context."""

    kind: str
    grown: float
    """By how much a worker that contexts share grew, as the kernel says."""
    reported: float
    private: float
    """What a worker with one such context has to itself, as the kernel says."""
    measured: float


def run(folder: Path) -> list[Size]:
    """Measure every kind."""
    return [
        Size(kind, *grown, *own)
        for kind, grown, own in zip(KINDS, _shared(folder), _own(folder), strict=True)
    ]


def markdown(sizes: Sequence[Size]) -> str:
    """Write the table."""
    heads = ("state", "growth", "`reported`", "ratio", "private to a worker", "`measured`", "ratio")
    return table.markdown(heads, [_row(size) for size in sizes])


def _row(size: Size) -> tuple[str, ...]:
    return (
        KINDS[size.kind],
        _bytes(size.grown),
        _bytes(size.reported),
        _ratio(size.reported, size.grown),
        _bytes(size.private),
        _bytes(size.measured),
        _ratio(size.measured, size.private),
    )


def _bytes(size: float) -> str:
    return f"{size / 1024:,.1f} KiB"


def _ratio(counted: float, true: float) -> str:
    return f"{counted / true:.2f}"


def _shared(folder: Path) -> list[tuple[float, float]]:
    plugins = [
        plugin(folder / "shared", kind, STATES, "States", memory_bytes=1 << 30) for kind in KINDS
    ]
    with running(folder / "shared", *plugins) as host:
        return [_grown(host, kind) for kind in KINDS]


def _grown(host: Host, kind: str) -> tuple[float, float]:
    worker = host.call("fill", {"kind": kind}, "first", plugin=kind).json
    before = private(worker)
    for number in range(CONTEXTS):
        assert host.call("fill", {"kind": kind}, f"{kind}-{number}", plugin=kind).status == 200
    grown = private(worker) - before
    for number in range(CONTEXTS):
        host.request("DELETE", f"/v1/contexts/{kind}-{number}")
    reported = host.metric("reclaimed_bytes_total", plugin=kind, kind="reported")
    return grown / CONTEXTS, reported / CONTEXTS


def _own(folder: Path) -> list[tuple[float, float]]:
    plugins = [
        plugin(folder / "own", kind, STATES, "States", isolation="PerContext") for kind in KINDS
    ]
    with running(folder / "own", *plugins, warm_workers=1) as host:
        return [_ended(host, kind) for kind in KINDS]


def _ended(host: Host, kind: str) -> tuple[float, float]:
    names = [f"{kind}-{number}" for number in range(OWN_CONTEXTS)]
    workers = [host.call("fill", {"kind": kind}, name, plugin=kind).json for name in names]
    held = sum(map(private, workers))
    for name in names:
        host.request("DELETE", f"/v1/contexts/{name}")
    measured = host.metric("reclaimed_bytes_total", plugin=kind, kind="measured")
    return held / OWN_CONTEXTS, measured / OWN_CONTEXTS


def private(pid: int) -> int:
    """Return the bytes that a process shares with nobody: what its end gives back."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) << 10 for line in lines if line.startswith("Private_"))
