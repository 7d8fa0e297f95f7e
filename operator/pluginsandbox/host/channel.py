"""The worker's end of the socket to the host: whole frames in, whole frames out.

The socket blocks. With a frame may come one memfd that the host made; a worker can send none, as
sendmsg is not among its system calls.
"""

from __future__ import annotations

import array
import os
import socket
from typing import TypeVar

import msgspec

from pluginsandbox.host.frames import FRAME_BYTES, FromWorker, Log, ToWorker
from pluginsandbox.host.messages import MESSAGE_BYTES, Start

_ANCILLARY_BYTES = socket.CMSG_SPACE(array.array("i").itemsize)
NO_DESCRIPTOR = -1
Message = TypeVar("Message")


class Channel:
    """Frames to and from the host.

    Args:
        descriptor: The worker's socket.

    """

    def __init__(self, descriptor: int) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET, 0, fileno=descriptor)
        self._descriptor = descriptor
        self._buffer = bytearray(max(FRAME_BYTES, MESSAGE_BYTES))
        self._view = memoryview(self._buffer)
        self._frames: msgspec.msgpack.Decoder[ToWorker] = msgspec.msgpack.Decoder(ToWorker)
        self._encode = msgspec.msgpack.Encoder().encode
        self.call = 0
        """The call that runs now, for what is logged meanwhile; 0 = none."""

    def start(self) -> Start | None:
        """Return the first message; None if the host is gone."""
        size = self._socket.recv_into(self._buffer)
        return msgspec.msgpack.decode(self._view[:size], type=Start) if size else None

    def receive(self) -> tuple[ToWorker, int] | None:
        """Return the next frame and the memfd that came with it, or `NO_DESCRIPTOR`.

        Returns:
            None if the host is gone.

        """
        size, ancillary, _, _ = self._socket.recvmsg_into(
            (self._buffer,), _ANCILLARY_BYTES, socket.MSG_CMSG_CLOEXEC
        )
        if not size:
            return None
        frame = self._frames.decode(self._view[:size])
        if not ancillary:
            return frame, NO_DESCRIPTOR
        return frame, array.array("i", ancillary[0][2])[0]

    def send(self, frame: FromWorker) -> None:
        """Send one frame, waiting for room."""
        os.write(self._descriptor, self._encode(frame))

    def log(self, level: str, message: str) -> None:
        """Tell the host what the plugin said."""
        self.send(Log(level, message, self.call))
