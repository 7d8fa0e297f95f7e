"""Ends a call whose time is over, as far as Python can: an exception inside the plugin.

One real-time interval timer serves all calls of a worker. It is not disarmed after a call, so most
calls need not touch it: it may ring in a later call or in none, and its handler looks at the clock.
The handler raises CallTimeout only while plugin code runs and only after the current call's
deadline, so nothing of the SDK or the worker is ever interrupted. Code in C is not interrupted
before it returns; the host's own clock and its kill are the second step.
"""

from __future__ import annotations

import atexit
import signal
import time
import types
from collections.abc import Callable
from typing import Any, TypeVar

from pluginsandbox.sdk.errors import CallTimeout

R = TypeVar("R")

MICROSECONDS = 1e-6
# An exception can be lost (in __del__, in a callback of an event loop): it is raised again.
REPEAT_SECONDS = 0.05


class Deadline:
    """The clock of one process; to be used from its main thread."""

    def __init__(self) -> None:
        self._until = 0.0
        """When the running plugin code must end; 0 when none runs or it has no limit."""
        self._rings = 0.0
        """When the timer rings next; 0 when it is not armed."""
        self._seconds = 0.0
        self._previous: Callable[[], None] | None = None

    def run(
        self,
        timeout_microseconds: int,
        function: Callable[..., R],
        /,
        *arguments: Any,
        **named: Any,
    ) -> R:
        """Call `function`, for at most so long; 0 means without limit.

        Raises:
            CallTimeout: Its time was over.

        """
        if timeout_microseconds <= 0:
            return function(*arguments, **named)
        now = time.monotonic()
        self._seconds = timeout_microseconds * MICROSECONDS
        self._until = now + self._seconds
        try:
            if not now < self._rings <= self._until:
                self._arm(self._until)
            return function(*arguments, **named)
        finally:
            self._until = 0.0

    def close(self) -> None:
        """Give the signal and the timer back to whoever had them before."""
        if self._previous is not None:
            self._previous()
            self._previous = None
            self._rings = 0.0

    def _arm(self, until: float) -> None:
        if self._previous is None:
            self._install()
        self._rings = until
        signal.setitimer(signal.ITIMER_REAL, max(until - time.monotonic(), MICROSECONDS))

    def _install(self) -> None:
        seconds, interval = signal.getitimer(signal.ITIMER_REAL)
        handler, since = signal.signal(signal.SIGALRM, self._ring), time.monotonic()

        def restore() -> None:
            _disarm()
            signal.signal(signal.SIGALRM, handler)
            if seconds:
                left = seconds - (time.monotonic() - since)
                signal.setitimer(signal.ITIMER_REAL, max(left, MICROSECONDS), interval)

        self._previous = restore
        atexit.register(_disarm)

    def _ring(self, _signal: int, frame: types.FrameType | None) -> None:
        self._rings = 0.0
        until, now = self._until, time.monotonic()
        if not until:
            return
        if now < until:
            self._arm(until)
            return
        self._arm(now + REPEAT_SECONDS)
        # In `run` itself the plugin has not begun or has just ended: leave it whole.
        if frame is not None and frame.f_code is not Deadline.run.__code__:
            raise CallTimeout(f"the call took longer than {self._seconds:g} s")


def _disarm() -> None:
    """Silence the timer: a late ring kills a process whose interpreter put its handlers away."""
    signal.setitimer(signal.ITIMER_REAL, 0)
