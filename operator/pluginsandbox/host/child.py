"""A worker's process as the host holds it: by its pidfd, which no other process ever gets."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Callable

from pluginsandbox.host.vitals import Vitals


class Child:
    """A process; none until it was spawned, none after `close`."""

    def __init__(self) -> None:
        self.pid = 0
        """0 until the zygote has forked it."""
        self._pidfd = -1
        self._vitals = Vitals()

    @property
    def held(self) -> bool:
        """Whether there is a pidfd."""
        return self._pidfd >= 0

    def spawned(self, pid: int, descriptor: int) -> None:
        """Take the pidfd of the process."""
        self.pid, self._pidfd = pid, descriptor

    def kill(self) -> None:
        """End it, if there is one."""
        self._signal(signal.SIGKILL)

    def size(self) -> int:
        """Return its proportional set size in bytes; 0 if there is none."""
        if not self.pid:
            return 0
        size = self._vitals.size(self.pid)
        # Only a process that is still there cannot have lent its number to another meanwhile.
        return size if self._signal(0) else 0

    def burns(self, tasks: int) -> bool:
        """Whether it used the CPU with nothing to do; see `Vitals.burns`."""
        return self._vitals.burns(self.pid, tasks)

    def on_end(self, loop: asyncio.AbstractEventLoop, then: Callable[[], None]) -> None:
        """Call `then` when it is no more and the zygote, which would tell, is gone."""
        loop.add_reader(self._pidfd, self._reap, then)

    def _reap(self, then: Callable[[], None]) -> None:
        # To process 1 of a pod orphans are its own children.
        with contextlib.suppress(ChildProcessError):
            os.waitid(os.P_PIDFD, self._pidfd, os.WEXITED | os.WNOHANG)
        then()

    def close(self, loop: asyncio.AbstractEventLoop) -> None:
        """Let go of it."""
        if self._pidfd >= 0:
            loop.remove_reader(self._pidfd)
            os.close(self._pidfd)
            self._pidfd = -1

    def _signal(self, number: int) -> bool:
        if self._pidfd < 0:
            return False
        try:
            signal.pidfd_send_signal(self._pidfd, number)
        except ProcessLookupError:
            return False
        return True
