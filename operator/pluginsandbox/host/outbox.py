"""Messages to a worker, in order; those that its socket has no room for wait here."""

from __future__ import annotations

import asyncio
import os
import socket
from collections import deque
from collections.abc import Callable

NO_DESCRIPTOR = -1


class Outbox:
    """Sends at once where there is room, which is nearly always.

    Args:
        channel: Not blocking; closed by its owner.
        loop: The host's event loop.
        on_error: Called when the kernel refuses to send, other than for want of room.

    """

    def __init__(
        self,
        channel: socket.socket,
        loop: asyncio.AbstractEventLoop,
        on_error: Callable[[OSError], None],
    ) -> None:
        self._socket = channel
        self._loop = loop
        self._on_error = on_error
        self._waiting: deque[tuple[bytes, int]] = deque()
        """Messages, each with a descriptor or `NO_DESCRIPTOR`."""
        self._closed = False

    @property
    def waiting(self) -> int:
        """Messages that the socket has no room for yet."""
        return len(self._waiting)

    def send(self, data: bytes, descriptor: int = NO_DESCRIPTOR) -> None:
        """Send a message and, in one of its own behind it, a descriptor, which is closed here."""
        self._post(data, NO_DESCRIPTOR)
        if descriptor != NO_DESCRIPTOR:
            self._post(b"\0", descriptor)

    def close(self) -> None:
        """Forget what waits, and all that comes."""
        self._loop.remove_writer(self._socket.fileno())
        for _, descriptor in self._waiting:
            _close(descriptor)
        self._waiting.clear()
        self._closed = True
        # Its owner, most likely: ten thousand workers are not to wait for the garbage collector.
        self._on_error = _ignore

    def _post(self, data: bytes, descriptor: int) -> None:
        if self._closed:
            _close(descriptor)
        elif self._waiting or not self._sent(data, descriptor):
            if not self._waiting:
                self._loop.add_writer(self._socket.fileno(), self._on_writable)
            self._waiting.append((data, descriptor))

    def _sent(self, data: bytes, descriptor: int) -> bool:
        try:
            if descriptor == NO_DESCRIPTOR:
                self._socket.send(data)
                return True
            socket.send_fds(self._socket, [data], [descriptor])
        except BlockingIOError:
            return False
        except ConnectionError:
            pass  # The other end is closed: whoever reads hears of it too.
        except OSError as error:
            self._on_error(error)
        _close(descriptor)
        return True

    def _on_writable(self) -> None:
        while self._waiting:
            # Out of the queue while it is sent: an error on the way closes what is in it.
            data, descriptor = self._waiting.popleft()
            if not self._sent(data, descriptor):
                self._waiting.appendleft((data, descriptor))
                return
        self._loop.remove_writer(self._socket.fileno())


def _ignore(_: OSError) -> None:
    """Hear of an error when nobody sends any more."""


def _close(descriptor: int) -> None:
    if descriptor != NO_DESCRIPTOR:
        os.close(descriptor)
