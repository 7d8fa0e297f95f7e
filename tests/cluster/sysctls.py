"""Changes kernel settings for the cluster, and puts back all that it and its kubelet change.

A starting kubelet can only be told to change some or to refuse a machine where they differ. Pods do
not need them, so they get their old values as soon as the kubelet has started.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from tests.cluster.layout import Layout

_ROOT = Path("/proc/sys")
_CHANGED_BY_KUBELET = (
    "vm/overcommit_memory",
    "vm/panic_on_oom",
    "kernel/panic",
    "kernel/panic_on_oops",
    "kernel/keys/root_maxkeys",
    "kernel/keys/root_maxbytes",
)
_NEIGHBOURS = {
    "net/ipv4/neigh/default/gc_thresh1": 16384,
    "net/ipv4/neigh/default/gc_thresh2": 32768,
    "net/ipv4/neigh/default/gc_thresh3": 65536,
}
"""Of all network namespaces together. Here all pods share one link, so a hundred that talk to each
other need ten thousand entries; beyond the usual 1024 packets are dropped."""


def remember(layout: Layout) -> None:
    """Note the values that a kubelet changes."""
    _note_values(_kubelet(layout), _CHANGED_BY_KUBELET)


def restore(layout: Layout) -> None:
    """Put them back."""
    _put_back(_kubelet(layout))


def make_room(layout: Layout) -> None:
    """Let pods have as many neighbours as they need."""
    _note_values(_ours(layout), _NEIGHBOURS)
    for name, value in _NEIGHBOURS.items():
        path = _ROOT / name
        path.write_text(str(max(value, int(path.read_text()))))


def give_room_back(layout: Layout) -> None:
    """Put back what `make_room` changed."""
    _put_back(_ours(layout))


def _note_values(note: Path, names: Iterable[str]) -> None:
    """Note them, unless those of an unfinished earlier start are noted already."""
    if not note.exists():
        note.write_text(json.dumps({name: (_ROOT / name).read_text() for name in names}))


def _put_back(note: Path) -> None:
    if not note.exists():
        return
    for name, value in json.loads(note.read_text()).items():
        if (_ROOT / name).read_text() != value:
            (_ROOT / name).write_text(value)
    note.unlink()


def _kubelet(layout: Layout) -> Path:
    return layout.state / "sysctls.json"


def _ours(layout: Layout) -> Path:
    return layout.state / "neighbours.json"
