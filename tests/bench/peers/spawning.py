"""An ASGI application that starts a process for each call."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

CHILD = "import sys, json; print(json.dumps(json.load(sys.stdin)['text']), end='')"


async def app(scope: Any, receive: Any, send: Any) -> None:
    del scope
    arguments = (await receive())["body"]
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-I", "-S", "-c", CHILD),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    body, _ = await child.communicate(arguments)
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
    ]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})
