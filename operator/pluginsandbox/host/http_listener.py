"""What the connections of one door share: its handler, the time, the room, and their end."""

from __future__ import annotations

import email.utils
import math
from collections.abc import Callable
from typing import Protocol

from pluginsandbox.host.http_body import Room
from pluginsandbox.host.http_head import Head
from pluginsandbox.host.http_known import KnownHeads
from pluginsandbox.host.http_protocol import Connection
from pluginsandbox.host.timers import Wheel


class Handler(Protocol):
    """What a door does with requests."""

    def admit(self, head: Head) -> int:
        """Return how many bytes the body may have.

        By nothing but the head: the same bytes may be taken again and this not be asked.

        Raises:
            Problem: The request is refused before its body is read.

        """

    def handle(self, connection: Connection, head: Head, body: bytes) -> None:
        """Answer a request, now or later, with `connection.respond`.

        Raises:
            Problem: It is refused.

        """

    def hang_up(self, connection: Connection) -> None:
        """The client of a request that has no answer yet is gone."""


class Listener:
    """What all connections of one door share.

    Args:
        handler: What the door does.
        wheel: Where connections wait for their deadlines.
        clock: Seconds.
        room: Bytes of bodies that may be here in part, on all connections together.

    """

    def __init__(
        self, handler: Handler, wheel: Wheel, clock: Callable[[], float], room: float = math.inf
    ) -> None:
        self.handler = handler
        self.wheel = wheel
        self.clock = clock
        self.room = Room(room)
        self.connections: set[Connection] = set()
        self.known = KnownHeads()
        self.draining = False
        """Every answer is its connection's last."""
        self.closing = False
        """No connection is taken any more."""
        self.date = ""
        self.tick()

    def __call__(self) -> Connection:
        """Make the protocol of a new connection."""
        return Connection(self)

    def tick(self) -> None:
        """Say the time anew; once a second."""
        self.date = f"Date: {email.utils.formatdate(usegmt=True)}\r\n"

    def close(self) -> None:
        """End connections, each after the answer that it waits for."""
        self.draining = self.closing = True
        for connection in tuple(self.connections):
            connection.close_when_idle()
