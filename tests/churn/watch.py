"""What a host and its processes hold, as the kernel says."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from tests.integration.host_bed import Host

MIB = 1 << 20


@dataclasses.dataclass(frozen=True)
class Held:
    """What there is at one moment."""

    host: int
    """Resident bytes of the host."""
    worker: int
    """Resident bytes of the worker that all contexts of the PerPlugin plugin share."""
    total: int
    """Resident bytes of host, zygote and all workers."""
    descriptors: int
    """Of host and zygote."""
    mappings: int
    """Of the host: a payload's segment that is mapped is one."""
    children: int
    """Zygote and workers."""
    zombies: int
    files: int
    """Below the host's own folder."""

    @property
    def text(self) -> str:
        """What a report has of it."""
        return f"{self.total / MIB:.1f} MiB (host {self.host / MIB:.1f})"


def look(host: Host, folder: Path, worker: int) -> Held:
    """Count.

    Args:
        host: Which.
        folder: Where its files are.
        worker: Process id of the worker to look at.

    """
    pid = host.process.pid
    children = tree(pid)
    zygote = children[0]
    return Held(
        host=resident(pid),
        worker=resident(worker),
        total=sum(map(resident, (pid, *children))),
        descriptors=sum(len(list(Path(f"/proc/{each}/fd").iterdir())) for each in (pid, zygote)),
        mappings=len(Path(f"/proc/{pid}/maps").read_text().splitlines()),
        children=len(children),
        zombies=sum(state(each) == "Z" for each in children),
        files=sum(1 for _ in folder.rglob("*")),
    )


def tree(pid: int) -> list[int]:
    """Return the processes below one, nearest first."""
    try:
        words = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return []
    children = [int(word) for word in words]
    return [*children, *(below for child in children for below in tree(child))]


def resident(pid: int) -> int:
    """Return a process's resident bytes; 0 if it is gone."""
    found = _status(pid).get("VmRSS", "0 kB")
    return int(found.split()[0]) << 10


def state(pid: int) -> str:
    """Return `R`, `S`, `Z` and so on; empty if it is gone."""
    return _status(pid).get("State", "")[:1]


def _status(pid: int) -> dict[str, str]:
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return {}
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}
