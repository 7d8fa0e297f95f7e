"""The one control group below which all pods live, in every hierarchy of the machine.

The kubelet is told to use it as its root, so it never looks at the groups of others.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from tests.cluster.layout import CGROUP

_CONTROLLERS = ("cpu", "cpuset", "io", "memory", "pids", "hugetlb")


def hierarchies(mountinfo: str) -> list[tuple[Path, bool]]:
    """Where control groups are mounted, with True for version 2.

    Args:
        mountinfo: the text of /proc/self/mountinfo.
    """
    found = []
    for line in mountinfo.splitlines():
        mount, _, source = line.partition(" - ")
        kind = source.split()[0]
        point = Path(mount.split()[4])
        if kind in ("cgroup", "cgroup2") and point.is_relative_to("/sys/fs/cgroup"):
            found.append((point, kind == "cgroup2"))
    return found


def _ours() -> Iterator[tuple[Path, bool]]:
    for mount, unified in hierarchies(Path("/proc/self/mountinfo").read_text()):
        yield mount / CGROUP, unified


def create() -> None:
    """Make our group wherever it is missing."""
    for group, unified in _ours():
        group.mkdir(exist_ok=True)
        if unified:
            _delegate(group)
        for file in ("cpuset.cpus", "cpuset.mems"):
            # Version 1 starts with empty sets, and no process may enter a group without a CPU.
            if not unified and (group / file).exists() and not (group / file).read_text().strip():
                (group / file).write_text((group.parent / file).read_text())


def _delegate(group: Path) -> None:
    for parent in (group.parent, group):
        available = (parent / "cgroup.controllers").read_text().split()
        enabled = (parent / "cgroup.subtree_control").read_text().split()
        for controller in _CONTROLLERS:
            if controller in available and controller not in enabled:
                (parent / "cgroup.subtree_control").write_text(f"+{controller}")


def processes() -> set[int]:
    """Every process in our group or below it: those of the pods."""
    pids: set[int] = set()
    for group, _ in _ours():
        for file in group.rglob("cgroup.procs"):
            with contextlib.suppress(OSError):
                pids.update(int(line) for line in file.read_text().split())
    return pids


def remove() -> None:
    """Take our groups away; they must hold no process."""
    for group, _ in _ours():
        if group.exists():
            for folder in sorted((p for p in group.rglob("*") if p.is_dir()), reverse=True):
                folder.rmdir()
            group.rmdir()
