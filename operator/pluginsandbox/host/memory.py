"""What the kernel says of a process's memory. The only file that parses /proc for it."""

from __future__ import annotations

import os
import resource
from typing import NamedTuple

_PAGE = resource.getpagesize()
_OOM_EVENTS = ("/sys/fs/cgroup/memory.events", "/sys/fs/cgroup/memory/memory.oom_control")


class Maps(NamedTuple):
    """Sizes of this process's address space, in bytes."""

    total: int
    data: int
    """What RLIMIT_DATA counts, and the stack."""


def own_maps() -> Maps:
    """Return how much this process has mapped."""
    fields = _statm()
    return Maps(total=int(fields[0]) * _PAGE, data=int(fields[5]) * _PAGE)


def own_anonymous_bytes() -> int:
    """Return how much of this process's resident memory is of no file: what a fork begins with."""
    fields = _statm()
    return (int(fields[1]) - int(fields[2])) * _PAGE


def _statm() -> list[bytes]:
    # Not a file object: each page that a fresh fork touches is copied.
    descriptor = os.open("/proc/self/statm", os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.read(descriptor, 256).split()
    finally:
        os.close(descriptor)


def proportional_bytes(pid: int) -> int:
    """Return a process's proportional set size: its own pages, and its share of shared ones.

    Args:
        pid: A process of the same user that is dumpable.

    Returns:
        Bytes; 0 if the process is gone or does not let itself be read.

    """
    try:
        with open(f"/proc/{pid}/smaps_rollup", "rb") as file:  # noqa: PTH123
            for line in file:
                if line.startswith(b"Pss:"):
                    return int(line.split()[1]) << 10
    except OSError:
        pass
    return 0


class OomKills:
    """Counts the processes of this container that died for want of memory."""

    def __init__(self) -> None:
        self._seen = _oom_kills()
        self._unclaimed = 0

    def claim(self) -> bool:
        """Whether there was such a death that nobody has claimed yet; it is claimed now."""
        now = _oom_kills()
        self._unclaimed += max(0, now - self._seen)
        self._seen = now
        if not self._unclaimed:
            return False
        self._unclaimed -= 1
        return True


def _oom_kills() -> int:
    for path in _OOM_EVENTS:
        try:
            with open(path, "rb") as file:  # noqa: PTH123
                for line in file:
                    if line.startswith(b"oom_kill "):
                        return int(line.split()[1])
        except OSError:
            continue
    return 0
