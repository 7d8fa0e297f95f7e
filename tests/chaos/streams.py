"""Passes a watch on, line by line, with the faults that rules ask for."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time

import aiohttp
from aiohttp import web

from tests.chaos.record import Call
from tests.chaos.rules import Script

_LOOK_SECONDS = 0.05
"""How soon a rule acts on a stream that is open already."""
_HELD_SECONDS = 1.0
"""For which an event waits for the one that is to come before it; then there is none."""
_ERRORS = {"gone": (410, "Expired"), "fail": (500, "InternalError")}


async def pump(
    source: aiohttp.StreamReader, out: web.StreamResponse, call: Call, script: Script
) -> None:
    """Pass the events of a watch on until one of both ends."""
    held: list[bytes] = []
    quiet = time.monotonic()
    reading = asyncio.ensure_future(source.readline())
    try:
        while True:
            await asyncio.wait({reading}, timeout=_LOOK_SECONDS)
            act = rule.act if (rule := script.for_stream(call)) is not None else ""
            if act:
                call.fault = act
            if act in _ERRORS:
                await out.write(_error(*_ERRORS[act]))
            if act in {*_ERRORS, "close"}:
                return
            if not reading.done():
                if held and time.monotonic() > quiet + _HELD_SECONDS:
                    await _release(out, held)
                continue
            quiet = time.monotonic()
            line = reading.result()
            if not line:
                return
            if act != "silent":
                await _pass(line, out, call, script, held)
            reading = asyncio.ensure_future(source.readline())
    finally:
        reading.cancel()
        with contextlib.suppress(asyncio.CancelledError, aiohttp.ClientError):
            await reading


async def _pass(
    line: bytes, out: web.StreamResponse, call: Call, script: Script, held: list[bytes]
) -> None:
    rule = script.for_event(call, json.loads(line)["type"])
    if rule is not None and rule.act == "reorder":
        held.append(line)
        return
    copies = 1 if rule is None else {"lose": 0, "duplicate": 2}[rule.act]
    for each in [line] * copies:
        await out.write(each)
    await _release(out, held)


async def _release(out: web.StreamResponse, held: list[bytes]) -> None:
    while held:
        await out.write(held.pop(0))


def _error(code: int, reason: str) -> bytes:
    status = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code}
    told = {**status, "reason": reason, "message": "a fault of the test"}
    return json.dumps({"type": "ERROR", "object": told}).encode() + b"\n"
