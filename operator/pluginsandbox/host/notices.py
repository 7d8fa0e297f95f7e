"""Hears of each probing system call of a worker, refuses it, and says whose it was.

The zygote is under a filter that asks the host what to do about them (SECCOMP_RET_USER_NOTIF), and
all workers inherit it; one descriptor tells of them all. The answer is always EPERM: nothing of the
call is looked at but its number, so there is nothing that could change between look and use. Once
the descriptor is closed, the kernel refuses by itself (ENOSYS).
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import fcntl
import os
import struct
from collections.abc import Callable

from pluginsandbox.host import syscalls

# linux/seccomp.h: struct seccomp_notif, struct seccomp_notif_resp
_NOTICE = struct.Struct("<QIIiIQ6Q")
_ANSWER = struct.Struct("<QqiI")
_RECEIVE, _SEND = 0xC0502100, 0xC0182101
# Asking the host takes a thousand times what a refusal by the kernel takes. A worker that asks more
# often in one second waits for the next one, in its own call's time.
CALLS_PER_SECOND = 500


class Notices:
    """The host's end of the filter.

    Args:
        descriptor: Of the filter; closed here.
        loop: The host's event loop.
        on_refused: Told the process id of each call, and the call's name.

    """

    def __init__(
        self,
        descriptor: int,
        loop: asyncio.AbstractEventLoop,
        on_refused: Callable[[int, str], None],
    ) -> None:
        self._descriptor = descriptor
        self._loop = loop
        self._on_refused = on_refused
        self._names = {number: name for name, number in syscalls.numbers(syscalls.here()).items()}
        self._second = 0
        self._calls: dict[int, int] = {}
        """How many each process made in this second."""
        loop.add_reader(descriptor, self._on_readable)

    def close(self) -> None:
        """Hear no more."""
        if self._descriptor >= 0:
            self._loop.remove_reader(self._descriptor)
            os.close(self._descriptor)
            self._descriptor = -1

    def _on_readable(self) -> None:
        notice = bytearray(_NOTICE.size)
        try:
            fcntl.ioctl(self._descriptor, _RECEIVE, notice)
        except OSError as error:
            if error.errno != errno.ENOENT:  # whoever made the call is gone
                self.close()
            return
        number, process, _, call, *_ = _NOTICE.unpack(notice)
        self._on_refused(process, self._names.get(call, str(call)))
        now = self._loop.time()
        if int(now) != self._second:
            self._second = int(now)
            self._calls.clear()
        calls = self._calls[process] = self._calls.get(process, 0) + 1
        if calls <= CALLS_PER_SECOND:
            self._refuse(number)
        else:
            self._loop.call_at(self._second + 1, self._refuse, number)

    def _refuse(self, number: int) -> None:
        # Whoever made the call may be gone meanwhile.
        with contextlib.suppress(OSError):
            fcntl.ioctl(self._descriptor, _SEND, _ANSWER.pack(number, 0, -errno.EPERM, 0))
