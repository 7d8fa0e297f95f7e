"""How a worker ended, from what the kernel and the host know. Pure."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable

from pluginsandbox.host.runtime import WorkerExit

OUT_OF_MEMORY = 71
"""Exit status of a worker that has no memory left even to say so."""
BROKEN = 70
"""Exit status of a worker whose own loop failed."""

CLOSED = WorkerExit("Protocol", "it closed its socket")


def classify(
    status: int | None, *, killed: WorkerExit | None, oom: Callable[[], bool]
) -> WorkerExit:
    """Say why a worker is gone.

    Args:
        status: What waitpid said; None if nobody could wait for it.
        killed: Why the host killed it, if it did.
        oom: Asked of a worker that somebody else killed: whether it was for want of memory.

    """
    # What it said stays said, even if it got away before the kill. A socket also closes when its
    # owner dies, and on a busy machine it may be a while until that is heard of.
    said = killed is not None and killed.cause == "Protocol" and killed is not CLOSED
    if killed is not None and (said or status is None or _signal(status) == signal.SIGKILL):
        return killed
    if status is None:
        return WorkerExit("Signal", "killed with the process that had forked it")
    number = _signal(status)
    if number is None:
        return _exited(os.waitstatus_to_exitcode(status))
    if number == signal.SIGSYS:
        return WorkerExit("Denied", "it made a system call that no plugin has an honest use for")
    if number == signal.SIGKILL and oom():
        return WorkerExit("Memory", "killed by the kernel: the container ran out of memory")
    return WorkerExit("Signal", f"signal {_name(number)}")


def _signal(status: int) -> int | None:
    return os.WTERMSIG(status) if os.WIFSIGNALED(status) else None


def _exited(code: int) -> WorkerExit:
    if code == OUT_OF_MEMORY:
        return WorkerExit("Memory", "it used up its memory limit")
    return WorkerExit("Exit", f"exit status {code}")


def _name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return str(number)
