"""Connections to other members: HTTP/1.1, kept open, one question at a time on each."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import httptools

CONNECT_SECONDS = 2.0
# Less than the door keeps an idle connection, so that none is used in the moment of its end.
IDLE_SECONDS = 30.0


class LostError(Exception):
    """The connection ended before the answer was whole; the question may have been read."""


class Reply:
    """What came back."""

    def __init__(self) -> None:
        self.status = 0
        self.headers: dict[str, str] = {}
        self.body = b""


class Wire(asyncio.Protocol):
    """One connection. To be made by `open_wire`."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._parser: Any = httptools.HttpResponseParser(self)
        self._transport: asyncio.Transport | None = None
        self._reply = Reply()
        self._parts: list[bytes] = []
        self._waiter: asyncio.Future[Reply] | None = None
        self._used = self._loop.time()

    @property
    def usable(self) -> bool:
        """Whether another question may be asked."""
        fresh = self._loop.time() - self._used < IDLE_SECONDS
        return self._transport is not None and not self._transport.is_closing() and fresh

    async def exchange(self, data: bytes) -> Reply:
        """Ask, and return the answer.

        Raises:
            LostError: None came.

        """
        if self._transport is None:
            raise LostError
        self._reply, self._parts = Reply(), []
        self._waiter = self._loop.create_future()
        self._transport.write(data)
        try:
            return await self._waiter
        finally:
            self._waiter = None
            self._used = self._loop.time()

    def close(self) -> None:
        """End the connection."""
        if self._transport is not None:
            self._transport.abort()

    # --- the event loop and llhttp call ----------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._transport = cast("asyncio.Transport", transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell who waits."""
        del exc
        self._transport = None
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_exception(LostError())

    def data_received(self, data: bytes) -> None:
        """Read on; what nobody asked for, or nobody can read, ends the connection."""
        if self._waiter is None:
            self.close()
            return
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self.close()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header."""
        self._reply.headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_body(self, body: bytes) -> None:
        """Take a piece of the body."""
        self._parts.append(body)

    def on_message_complete(self) -> None:
        """Hand the answer over."""
        reply = self._reply
        reply.status = self._parser.get_status_code()
        reply.body = b"".join(self._parts)
        if reply.headers.get("connection", "").lower() == "close" and self._transport is not None:
            self._transport.close()
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(reply)


async def open_wire(address: str, port: int) -> Wire:
    """Connect.

    Raises:
        ConnectionRefusedError: Nobody listens there.
        OSError: It cannot be reached; TimeoutError is one.

    """
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(CONNECT_SECONDS):
        _, wire = await loop.create_connection(Wire, address, port)
    return wire
