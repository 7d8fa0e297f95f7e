"""The worker's end of the socket to the host: whole frames in, whole frames out.

The socket blocks. A frame that says so is followed by one memfd that the host made; a worker can
send none, as sendmsg is not among its system calls.
"""

from __future__ import annotations

import array
import os
import select
import socket

import msgspec

from pluginsandbox.host.frames import FRAME_BYTES, FromWorker, Log, ToWorker
from pluginsandbox.host.messages import MESSAGE_BYTES, Start

_ANCILLARY_BYTES = socket.CMSG_SPACE(array.array("i").itemsize)
# Made in the zygote, before the fork: to make a decoder takes a millisecond of a worker's start.
_decode = msgspec.msgpack.Decoder(ToWorker).decode
_decode_start = msgspec.msgpack.Decoder(Start).decode
_encode = msgspec.msgpack.Encoder().encode
# Of the worker's one channel; for the same reason.
_buffer = bytearray(max(FRAME_BYTES, MESSAGE_BYTES))
_view = memoryview(_buffer)


class Channel:
    """Frames to and from the host.

    Args:
        descriptor: The worker's socket.

    """

    def __init__(self, descriptor: int) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET, 0, fileno=descriptor)
        self._descriptor = descriptor
        self.call = 0
        """The call that runs now, for what is logged meanwhile; 0 = none."""

    def start(self) -> Start | None:
        """Return the first message; None if the host is gone."""
        size = self._socket.recv_into(_buffer)
        return _decode_start(_view[:size]) if size else None

    def receive(self) -> ToWorker | None:
        """Return the next frame; None if the host is gone."""
        size = self._socket.recv_into(_buffer)
        return _decode(_view[:size]) if size else None

    @property
    def readable(self) -> bool:
        """Whether `receive` would return at once."""
        return bool(select.select([self._descriptor], [], [], 0)[0])

    def descriptor(self) -> int:
        """Return the memfd that follows a frame that says so."""
        _, ancillary, _, _ = self._socket.recvmsg(1, _ANCILLARY_BYTES, socket.MSG_CMSG_CLOEXEC)
        return array.array("i", ancillary[0][2])[0]

    def send(self, frame: FromWorker) -> None:
        """Send one frame, waiting for room."""
        os.write(self._descriptor, _encode(frame))

    def log(self, level: str, message: str) -> None:
        """Tell the host what the plugin said."""
        self.send(Log(level, message, self.call))
