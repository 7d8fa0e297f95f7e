"""Puts back the kernel settings that a starting kubelet changes.

It can only be told to change them or to refuse a machine where they differ. Pods do not need
them, so they get their old values as soon as the kubelet has started.
"""

from __future__ import annotations

import json
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


def remember(layout: Layout) -> None:
    """Note the values, unless those of an unfinished earlier start are noted already."""
    note = _note(layout)
    if not note.exists():
        note.write_text(json.dumps({n: (_ROOT / n).read_text() for n in _CHANGED_BY_KUBELET}))


def restore(layout: Layout) -> None:
    """Put the noted values back and forget them."""
    note = _note(layout)
    if not note.exists():
        return
    for name, value in json.loads(note.read_text()).items():
        if (_ROOT / name).read_text() != value:
            (_ROOT / name).write_text(value)
    note.unlink()


def _note(layout: Layout) -> Path:
    return layout.state / "sysctls.json"
