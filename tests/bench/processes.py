"""What the kernel counts for a process and all below it."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

PROC = Path("/proc")


def tree(pid: int) -> list[int]:
    """Return a process and all its descendants, parents first."""
    found = [pid]
    for each in found:
        for task in (PROC / str(each) / "task").glob("*"):
            with contextlib.suppress(OSError):  # it ended meanwhile
                found.extend(map(int, (task / "children").read_text().split()))
    return found


def cpu_seconds(pid: int) -> float:
    """Return the time that a process and all below it, alive or dead, were on a processor."""
    processes = tree(pid)
    return sum(map(_alive_seconds, processes)) + sum(map(_reaped_seconds, processes))


def _alive_seconds(pid: int) -> float:
    nanoseconds = 0
    for task in (PROC / str(pid) / "task").glob("*"):
        with contextlib.suppress(OSError):
            nanoseconds += int((task / "schedstat").read_text().split()[0])
    return nanoseconds * 1e-9


def _reaped_seconds(pid: int) -> float:
    try:
        stat = (PROC / str(pid) / "stat").read_text()
    except OSError:
        return 0.0
    # Behind the name, which is in brackets, user and system time of the reaped are 13th and 14th.
    words = stat.rpartition(")")[2].split()
    return (int(words[13]) + int(words[14])) / os.sysconf("SC_CLK_TCK")


def proportional_bytes(pid: int) -> int:
    """Return the memory of a process, what it shares divided by those that share it."""
    return _rollup(pid, "Pss")


def resident_bytes(pid: int) -> int:
    """Return the memory of a process, with all that it shares."""
    return _rollup(pid, "Rss")


def _rollup(pid: int, name: str) -> int:
    for line in (PROC / str(pid) / "smaps_rollup").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) << 10
    raise LookupError(f"process {pid} has no {name}")


def private_bytes(pid: int) -> int:
    """Return the memory that is a process's own alone."""
    return _rollup(pid, "Private_Clean") + _rollup(pid, "Private_Dirty")
