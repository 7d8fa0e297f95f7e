"""An ASGI application that calls the function in its own process."""

from __future__ import annotations

from typing import Any

from tests.bench.peers import echo


async def app(scope: Any, receive: Any, send: Any) -> None:
    del scope
    body = echo.answer((await receive())["body"])
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
    ]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})
