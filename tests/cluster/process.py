"""Processes that outlive the command which started them.

A process id alone proves nothing after a while: each record carries the process's start time and
the machine's boot, so a reused id or a restarted machine is never mistaken for our process.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import hashlib
import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.cluster.errors import ClusterError
from tests.cluster.layout import Layout

MARK = "PLUGINSANDBOX_CLUSTER_STATE"
_LOG_LIMIT = 64 * 1024 * 1024


@dataclass(frozen=True)
class Component:
    """One process of the cluster, as it should run.

    Args:
        name: of its log file and its record.
        command: program and arguments.
        salt: anything else whose change must restart it, such as its configuration file's text.
    """

    name: str
    command: Sequence[str]
    salt: str = ""

    @property
    def fingerprint(self) -> str:
        """Changes when the process has to be restarted."""
        text = "\0".join([*self.command, self.salt])
        return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True)
class _Record:
    pid: int
    started: str
    boot: str
    fingerprint: str


def environment(layout: Layout) -> Mapping[str, str]:
    """What our processes get to see: nothing of the caller's, least of all its proxies.

    The mark is inherited by containerd's shims, so `down` finds those as well.
    """
    path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    return {"PATH": path, "HOME": str(layout.state), "LANG": "C.UTF-8", MARK: str(layout.state)}


def _boot() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def _start_time(pid: int) -> str | None:
    """Field 22 of /proc/<pid>/stat (clock ticks since boot), None for a dead process."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if fields[0] in "ZX" else fields[19]


def _read(layout: Layout, name: str) -> _Record | None:
    try:
        return _Record(**json.loads((layout.processes / f"{name}.json").read_text()))
    except (FileNotFoundError, ValueError, TypeError):
        return None


def running(layout: Layout, name: str) -> int | None:
    """The process id of a component that is alive, else None."""
    record = _read(layout, name)
    if record is None or record.boot != _boot() or _start_time(record.pid) != record.started:
        return None
    return record.pid


def started_at(layout: Layout, name: str) -> dt.datetime | None:
    """When a component that is alive was started, to the second; None if it is dead."""
    if running(layout, name) is None:
        return None
    seconds = int((layout.processes / f"{name}.json").stat().st_mtime)
    return dt.datetime.fromtimestamp(seconds, dt.UTC)


def start(layout: Layout, component: Component) -> bool:
    """Start a component unless it already runs in just this form.

    Returns:
        Whether a process was started.
    """
    record = _read(layout, component.name)
    if running(layout, component.name) is not None:
        if record is not None and record.fingerprint == component.fingerprint:
            return False
        stop(layout, [component.name])
    log = layout.logs / f"{component.name}.log"
    for folder in (layout.logs, layout.processes):
        folder.mkdir(parents=True, exist_ok=True)
    if log.exists() and log.stat().st_size > _LOG_LIMIT:
        log.replace(log.with_suffix(".log.old"))
    with log.open("ab") as out:
        process = subprocess.Popen(
            component.command,
            cwd=layout.state,
            env=environment(layout),
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            start_new_session=True,
        )
    new = _Record(process.pid, _start_time(process.pid) or "", _boot(), component.fingerprint)
    # A reaper would have to outlive us: the init process does it once this command has ended.
    process.returncode = 0
    (layout.processes / f"{component.name}.json").write_text(json.dumps(asdict(new)))
    return True


def stop(layout: Layout, names: Sequence[str], patience: float = 3.0) -> None:
    """Ask the named components to end, then make them.

    Args:
        layout: the cluster.
        names: components; those that do not run are skipped.
        patience: seconds between asking and making.
    """
    pids = {pid for name in names if (pid := running(layout, name)) is not None}
    end(pids, patience)
    for name in names:
        (layout.processes / f"{name}.json").unlink(missing_ok=True)


def end(pids: set[int], patience: float) -> None:
    """Terminate processes, and kill those that are left after `patience` seconds.

    Raises:
        ClusterError: one of them survives SIGKILL (it hangs in the kernel).
    """
    for number, seconds in ((signal.SIGTERM, patience), (signal.SIGKILL, 10.0)):
        for pid in pids:
            _signal(pid, number)
        deadline = time.monotonic() + seconds
        while (pids := {pid for pid in pids if _alive(pid)}) and time.monotonic() < deadline:
            time.sleep(0.02)
        if not pids:
            return
    raise ClusterError(f"processes {sorted(pids)} do not die; see /proc/<pid>/stack")


def _alive(pid: int) -> bool:
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)
    return _start_time(pid) is not None


def _signal(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def marked(layout: Layout) -> Iterator[int]:
    """Every process that carries our mark: components and containerd's shims."""
    wanted = f"{MARK}={layout.state}".encode()
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            if wanted in (entry / "environ").read_bytes().split(b"\0"):
                yield int(entry.name)
        except OSError:
            continue


def wait_for(
    what: str, ready: Callable[[], bool], layout: Layout, component: str, seconds: float
) -> None:
    """Wait until `ready`, as long as the component lives.

    Args:
        what: for the error message.
        ready: asked every 50 ms; an OSError counts as not yet.
        layout: the cluster.
        component: whose death ends the waiting, and whose log goes into the error.
        seconds: how long at most.

    Raises:
        ClusterError: it died or took too long.
    """
    deadline = time.monotonic() + seconds
    while not ready():
        dead = running(layout, component) is None
        if dead or time.monotonic() > deadline:
            trouble = f"{component} died" if dead else f"not ready after {seconds:.0f} s"
            raise ClusterError(
                f"{what}: {trouble}. Last words of {component}:\n{tail(layout, component, 15)}"
            )
        time.sleep(0.05)


def tail(layout: Layout, component: str, lines: int) -> str:
    """The last lines of a component's log."""
    log = layout.logs / f"{component}.log"
    if not log.exists():
        return f"(no log at {log})"
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - lines * 400))
        return "\n".join(file.read().decode(errors="replace").splitlines()[-lines:])
