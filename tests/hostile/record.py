"""What an attack is: one record with what it tries, what stops it, and how that is seen."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.hostile.arena import Arena

GROUPS = (
    *("memory", "files", "network", "processes", "kernel", "resources", "protocol"),
    *("interpreter", "time"),
)

SECCOMP = "seccomp"
LANDLOCK = "Landlock"
LIMITS = "resource limits"
PROCESS = "a process of its own"
FRAME = "the frame's check"
CLOCK = "the two clocks"
HOST = "the host's own bounds"
LOADING = "the check before loading"
STOPS = (SECCOMP, LANDLOCK, LIMITS, PROCESS, FRAME, CLOCK, HOST, LOADING)

# How an attack may end; anything else is a name of an exception that the plugin gets.
DENIED = "denied"
"""The kernel kills the worker for a system call."""
PROTOCOL = "protocol"
"""The host kills the worker for what it said or did."""
DIED = "died"
"""The worker ends by its own fault."""
TIMEOUT = "timeout"
"""The call is over time."""
NOTHING = "nothing"
"""The code runs to its end and has gained nothing."""

REFUSED = ("PermissionError",)
FATAL = (DENIED,)


@dataclasses.dataclass(frozen=True)
class Attack:
    """One attack.

    Args:
        name: What it tries, as a sentence without subject.
        group: One of `GROUPS`.
        stop: What stops it, one of `STOPS`.
        code: Run in the hostile worker with `target` and the helpers of `prelude`; what it gains
            it leaves in `got`. An exception, an end, or nothing in `got`: it was stopped.
        ends: How it may end, if it is stopped.
        drive: For what takes more than one call: returns what got through, or nothing.
        control: Code that shows that the act succeeds without the wall, run in a plain process on
            targets that may be harmed. Empty: the code itself. None: there is none.
        quick: Whether it is among the few that `make test` tries on pods.
        pods: Whether it can be tried there: a ConfigMap holds no links.

    """

    name: str
    group: str
    stop: str
    code: str = ""
    ends: tuple[str, ...] = REFUSED
    drive: Callable[[Arena], str] | None = None
    control: str | None = ""
    quick: bool = False
    pods: bool = True

    @property
    def controlled(self) -> str:
        """The code that must succeed without the wall; empty if there is none."""
        return "" if self.control is None else self.control or self.code
