"""One connection of a door: takes requests one at a time, in order, and nothing that is ambiguous.

A bare protocol of the event loop: no stream, no task. Which requests there are and what they mean
is the handler's; this file knows bytes, bounds and time.
"""

from __future__ import annotations

import asyncio
import math
from typing import TYPE_CHECKING, cast

from pluginsandbox.host import problem as problems
from pluginsandbox.host.http_answer import write
from pluginsandbox.host.http_body import Body
from pluginsandbox.host.http_chunked import too_large
from pluginsandbox.host.http_head import HEAD_BYTES, Head, Parser
from pluginsandbox.host.problem import Problem
from pluginsandbox.host.timers import NOWHERE

if TYPE_CHECKING:  # it makes connections
    from pluginsandbox.host.http_listener import Listener

# Header and body each.
RECEIVE_SECONDS = 10.0
KEEP_ALIVE_SECONDS = 75.0
# A client that does not read its answer.
SEND_SECONDS = 30.0
# An answer to a request whose body we do not want reaches the client only if we read on a while.
LINGER_SECONDS = 2.0
# What a client may send ahead while it waits for an answer.
AHEAD_BYTES = 64 << 10
MAX_CONNECTIONS = 4096

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class Connection(asyncio.Protocol):
    """One client.

    Args:
        listener: What it shares with its like.

    """

    def __init__(self, listener: Listener) -> None:
        self._listener = listener
        self._clock = listener.clock
        self._parser = Parser()
        self._transport: asyncio.Transport | None = None
        self._data = b""
        """What came and is not used yet."""
        self._head: Head | None = None
        """The request that is being received or answered."""
        self._body: Body | None = None
        """That of the request, while it comes in pieces."""
        self._busy = False
        """A request waits for its answer."""
        self._ended = False
        """The client sends no more."""
        self._advancing = False
        self._blocked = False
        """The client does not read."""
        self._refusing = False
        """The last answer is out; what still comes is thrown away."""
        self._due = math.inf
        self.tick = NOWHERE
        self.started = 0.0
        """When the head of the request was whole, in seconds on the host's clock."""
        self.pending: object = None
        """The handler's own, for the request that waits for its answer."""

    # --- the event loop calls --------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take a client, if there is room."""
        # uvloop's transport is one in all but its class.
        stream = cast("asyncio.Transport", transport)
        listener = self._listener
        if len(listener.connections) >= MAX_CONNECTIONS or listener.closing:
            stream.abort()
            return
        self._transport = stream
        listener.connections.add(self)
        self._wait(RECEIVE_SECONDS)

    def connection_lost(self, exc: Exception | None) -> None:
        """Let go of all that was the client's."""
        del exc
        self._transport = None
        self._data = b""
        self._drop_body()
        self._parser.close()
        self._listener.connections.discard(self)
        self._listener.wheel.disarm(self)
        if self._busy:
            self._busy = False
            self._listener.handler.hang_up(self)

    def data_received(self, data: bytes) -> None:
        """Take bytes; what comes before the last request has its answer waits, within bounds."""
        if self._refusing:
            return
        if self._head is not None and not self._busy:
            self._receive(data)
            return
        self._data = self._data + data if self._data else data
        if not self._busy:
            self._advance()
        elif len(self._data) > AHEAD_BYTES and self._transport is not None:
            self._transport.pause_reading()

    def eof_received(self) -> bool:
        """Keep the connection open for the answer, if one is due."""
        self._ended = True
        return self._busy

    def pause_writing(self) -> None:
        """Take no more requests while the client does not read its answers."""
        self._blocked = True
        self._wait(SEND_SECONDS)

    def resume_writing(self) -> None:
        """Go on."""
        self._blocked = False
        self._due = math.inf if self._busy else self._clock() + KEEP_ALIVE_SECONDS
        if not self._busy:
            self._advance()

    def on_timer(self, now: float) -> None:
        """End a client that is too slow."""
        if self._transport is None:
            return
        if now < self._due:
            if self._due < math.inf:
                self._listener.wheel.arm(self, self._due)
        elif self._blocked or self._refusing:
            self._transport.abort()
        elif self._head is None and not self._data:
            self._transport.close()
        else:
            part = "head" if self._head is None else "body"
            detail = f"the request's {part} must come within {RECEIVE_SECONDS:g} s"
            self._refuse(Problem(problems.SLOW, detail))

    # --- receiving -------------------------------------------------------------------------------

    def _advance(self) -> None:
        """Begin requests as long as there are whole heads and no answer is due."""
        if self._advancing:
            return
        self._advancing = True
        try:
            while self._data and not (self._busy or self._blocked or self._refusing):
                if not self._begin():
                    break
        except Problem as problem:
            self._refuse(problem)
        finally:
            self._advancing = False

    def _begin(self) -> bool:
        """Read a head and what is there of its body; False if the head is not whole yet."""
        data, now = self._data, self._clock()
        size = data.find(b"\r\n\r\n", 0, HEAD_BYTES) + 4
        if size < 4:  # noqa: PLR2004 - not found
            self._await_head(now)
            return False
        self.started = now
        block = data[:size]
        known = self._listener.known.get(block)
        if known is None or size + known.length > len(data):
            self._read(block, data)
            return True
        end = size + known.length
        self._head, self._data = known, data[end:]
        self._hand_over(known, data[size:end])
        return True

    def _read(self, block: bytes, data: bytes) -> None:
        """Begin a request whose head is not known, or whose body has not come whole."""
        head, size = self._parser.head(block), len(block)
        end = size + head.length
        whole = size <= end <= len(data)
        limit, refusal = self._admit(head)
        if refusal is not None and not whole:
            raise refusal
        self._head = head
        if whole:
            self._data, body = data[end:], data[size:end]
            self._complete(body, body, refusal)
            if refusal is None:
                self._listener.known.keep(block, head)
            return
        self._data, rest = b"", data[size:]
        self._body = Body(head.length, limit, self._listener.room)
        if head.awaits_continue and not rest and self._transport is not None:
            self._transport.write(CONTINUE)
        self._wait(RECEIVE_SECONDS)
        self._receive(rest)

    def _await_head(self, now: float) -> None:
        if len(self._data) >= HEAD_BYTES:
            limit = f"{HEAD_BYTES >> 10} KiB"
            raise Problem(problems.HEADERS, f"the request's head must be at most {limit}")
        if self._due > now + RECEIVE_SECONDS:
            self._wait(RECEIVE_SECONDS)

    def _admit(self, head: Head) -> tuple[int, Problem | None]:
        """Return the bytes that the body may have, or why the request is refused."""
        try:
            limit = self._listener.handler.admit(head)
        except Problem as problem:
            return 0, problem
        if head.length > limit:
            raise too_large(limit)
        return limit, None

    def _receive(self, data: bytes) -> None:
        """Take a piece of a body that did not come whole."""
        try:
            self._collect(data)
        except Problem as problem:
            self._refuse(problem)

    def _collect(self, data: bytes) -> None:
        body = self._body
        if body is None:
            return
        used = body.feed(data)
        if used is None:
            return
        self._data = data[used:]
        self._body = None
        self._complete(*body.finish())
        self._advance()

    def _drop_body(self) -> None:
        """Give back the room that a body had while it came."""
        if self._body is not None:
            self._body.drop()
            self._body = None

    def _complete(self, raw: bytes, body: bytes, refusal: Problem | None = None) -> None:
        """Hand over a whole request, or say why it is refused."""
        head = self._head
        if head is None:
            return
        if self._parser.finish(raw) != len(body):
            raise Problem(problems.MALFORMED, "it is not clear what the request's body is")
        self._hand_over(head, body, refusal)

    def _hand_over(self, head: Head, body: bytes, refusal: Problem | None = None) -> None:
        self._busy = True
        self._due = math.inf
        try:
            if refusal is not None:
                raise refusal
            self._listener.handler.handle(self, head, body)
        except Problem as problem:
            self.refuse(problem)

    # --- answering -------------------------------------------------------------------------------

    def respond(self, status: int, headers: str, body: bytes) -> None:
        """Answer the request that waits.

        Args:
            status: Of HTTP.
            headers: Lines that each end with CRLF; without Content-Length and Connection.
            body: All of it.

        """
        if not self._busy:
            return
        self._busy = False
        self.pending = None
        head, self._head = self._head, None
        done = self._ended and not self._data
        last = self._listener.draining or done or head is None or not head.keep_alive
        self._due = self._clock() + KEEP_ALIVE_SECONDS
        if self._transport is not None:
            date = self._listener.date
            write(self._transport, status, headers, body, date=date, last=last)
        if last:
            self._refusing = True
            if self._transport is not None:
                self._transport.close()
            return
        if not self.tick:
            self._listener.wheel.arm(self, self._due)
        if self._data and not self._advancing:
            self._resume()

    def refuse(self, problem: Problem, headers: str = "") -> None:
        """Answer the request that waits with an error."""
        told = f"Content-Type: {problems.MEDIA_TYPE}\r\n{problem.headers()}{headers}"
        self.respond(problem.kind.status, told, problem.document())

    def close_when_idle(self) -> None:
        """Close now, or after the answer that is due."""
        if self._transport is not None and self._head is None and not self._data:
            self._transport.close()

    def _resume(self) -> None:
        if self._transport is not None:
            self._transport.resume_reading()
        self._advance()
        if self._ended and not self._busy and self._transport is not None:
            self._transport.close()  # what is left is no whole request, and never will be

    def _refuse(self, problem: Problem) -> None:
        """Answer a request that cannot be read to its end; the connection ends with it."""
        if self._transport is None:
            return
        self._busy = False
        self._head = None
        self._refusing = True
        self._data = b""
        self._drop_body()
        headers = f"Content-Type: {problems.MEDIA_TYPE}\r\n{problem.headers()}"
        answer, date = problem.document(), self._listener.date
        write(self._transport, problem.kind.status, headers, answer, date=date, last=True)
        if self._transport.can_write_eof():
            self._transport.write_eof()
        self._wait(LINGER_SECONDS)

    def _wait(self, seconds: float) -> None:
        self._due = self._clock() + seconds
        self._listener.wheel.arm(self, self._due)
