"""Answers on their way out: who waits for one, and the bytes that it is.

Bounds, order and time are the connection's; what a client reads is here.
"""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import Protocol

from pluginsandbox.host.problem import Problem

# Above this, joining head and body costs more than a second buffer.
JOIN_BYTES = 16 << 10

STATUS_LINES = {
    status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n" for status in HTTPStatus
}


class Answerer(Protocol):
    """Where the answer to one request goes."""

    def respond(self, status: int, headers: str, body: bytes) -> None:
        """Answer; see `http_protocol.Connection.respond`."""

    def refuse(self, problem: Problem, headers: str = "") -> None:
        """Answer with an error."""


def write(
    transport: asyncio.Transport,
    status: int,
    headers: str,
    body: bytes,
    *,
    date: str,
    last: bool,
) -> None:
    """Write an answer.

    Args:
        transport: To the client.
        status: Of HTTP.
        headers: Lines that each end with CRLF; without Content-Length and Connection.
        body: All of it.
        date: The line that says the time.
        last: Whether the connection ends with it.

    """
    ending = "Connection: close\r\n" if last else ""
    head = (
        f"{STATUS_LINES[status]}{date}{headers}{ending}Content-Length: {len(body)}\r\n\r\n"
    ).encode("latin-1")
    if len(body) <= JOIN_BYTES:
        transport.write(head + body)
    else:
        transport.writelines((head, body))
