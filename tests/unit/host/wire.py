"""A connection without a network: bytes in, bytes out, and a handler that remembers."""

from __future__ import annotations

import asyncio
import math
from dataclasses import dataclass, field

import h11

from pluginsandbox.host.http_head import Head
from pluginsandbox.host.http_listener import Listener
from pluginsandbox.host.http_protocol import Connection
from pluginsandbox.host.problem import Problem
from pluginsandbox.host.timers import Wheel
from tests.unit.host.fake_runtime import Clock

BODY_BYTES = 1000


class FakeTransport(asyncio.Transport):
    """Collects what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.closed = False
        self.aborted = False
        self.reading = True
        self.ended = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written += bytes(data)

    def close(self) -> None:
        self.closed = True

    def abort(self) -> None:
        self.closed = self.aborted = True

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        self.ended = True

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True


@dataclass
class Seen:
    """A request as the handler got it."""

    method: bytes
    target: bytes
    headers: dict[bytes, bytes]
    body: bytes


@dataclass
class Door:
    """Takes every request; answers at once unless told to wait."""

    seen: list[Seen] = field(default_factory=list)
    waiting: list[Connection] = field(default_factory=list)
    hung_up: int = 0
    later: bool = False

    def admit(self, head: Head) -> int:
        del head
        return BODY_BYTES

    def handle(self, connection: Connection, head: Head, body: bytes) -> None:
        self.seen.append(Seen(head.method, head.target, head.headers, body))
        if self.later:
            self.waiting.append(connection)
        else:
            connection.respond(200, "", b"ok")

    def hang_up(self, connection: Connection) -> None:
        del connection
        self.hung_up += 1


class Wire:
    """One client of a door."""

    def __init__(
        self, *, later: bool = False, listener: Listener | None = None, room: float = math.inf
    ) -> None:
        self.clock = Clock()
        self.wheel = Wheel()
        self.door = Door(later=later)
        self.listener = listener or Listener(self.door, self.wheel, self.clock, room)
        self.listener.handler = self.door
        self.transport = FakeTransport()
        self.connection = self.listener()
        self.connection.connection_made(self.transport)

    def send(self, data: bytes, piece: int = 0) -> None:
        """Send at once, or in pieces of so many bytes."""
        step = piece or len(data) or 1
        for start in range(0, len(data), step):
            self.connection.data_received(data[start : start + step])

    def wait(self, seconds: float) -> None:
        self.clock.now += seconds
        self.wheel.expire(self.clock.now)

    def statuses(self) -> list[int]:
        """Status of each answer, as another implementation reads them."""
        return [response.status_code for response in self.responses()]

    def responses(self) -> list[h11.Response]:
        if not self.transport.written:
            return []
        client = h11.Connection(h11.CLIENT)
        client.receive_data(self.transport.written)
        found = []
        while True:
            client.send(h11.Request(method="GET", target="/", headers=[("Host", "a")]))
            client.send(h11.EndOfMessage())
            while (event := client.next_event()) is not h11.NEED_DATA:
                if isinstance(event, h11.Response):
                    found.append(event)
                if isinstance(event, h11.EndOfMessage | h11.ConnectionClosed):
                    break
            if event is h11.NEED_DATA or client.their_state is not h11.DONE:
                break
            client.start_next_cycle()
        return found


__all__ = ["BODY_BYTES", "Door", "FakeTransport", "Problem", "Seen", "Wire"]
