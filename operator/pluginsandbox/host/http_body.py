"""A request's body that did not come whole with its head: its pieces, and the room they take.

Most requests come in one piece and never get here.
"""

from __future__ import annotations

from pluginsandbox.host import problem as problems
from pluginsandbox.host.http_chunked import Chunked
from pluginsandbox.host.http_head import CHUNKED
from pluginsandbox.host.problem import Problem


class Room:
    """What all connections of a door share for the bodies that are on their way.

    Args:
        left: Bytes.

    """

    def __init__(self, left: float) -> None:
        self.left = left


class Body:
    """One body on its way in.

    Args:
        length: Its bytes, or `CHUNKED`.
        limit: Largest body in bytes.
        room: Where its bytes count until it is finished or dropped.

    """

    def __init__(self, length: int, limit: int, room: Room) -> None:
        self._length = length
        self._chunked = Chunked(limit) if length == CHUNKED else None
        self._room = room
        self._parts: list[bytes] = []
        """What came, as it came."""
        self._size = 0
        """Bytes in `_parts`."""

    def feed(self, data: bytes) -> int | None:
        """Take what came.

        Returns:
            How many bytes of `data` belong to the body, if it ends in it; else None.

        Raises:
            Problem: It is too large, no body at all, or there is no room for it.

        """
        if self._chunked is not None:
            used = self._chunked.feed(data)
        else:
            missing = self._length - self._size
            used = missing if missing <= len(data) else None
        part = data[:used]
        self._parts.append(part)
        self._size += len(part)
        self._room.left -= len(part)
        if self._room.left < 0:
            detail = "too many bodies are on their way here; send it again later"
            raise Problem(problems.QUEUE_FULL, detail)
        return used

    def finish(self) -> tuple[bytes, bytes]:
        """Give back the room; return the body as it came, and without its coding."""
        raw = b"".join(self._parts)
        self.drop()
        return raw, raw if self._chunked is None else bytes(self._chunked.body)

    def drop(self) -> None:
        """Give back the room."""
        self._room.left += self._size
        self._parts, self._size = [], 0
