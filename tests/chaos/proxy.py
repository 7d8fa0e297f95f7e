"""Stands between one operator and the API server, and does what its rules say.

It ends the operator's TLS and speaks its own to the server, so it sees every request. Once it is
cut, nothing of the operator reaches the server any more: to the server the operator is dead.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any, Literal

import aiohttp
from aiohttp import web

from tests.chaos.record import Call, Record
from tests.chaos.rules import Rule, Script
from tests.chaos.streams import pump
from tests.chaos.upstream import Upstream

Hook = Callable[[Literal["before", "after"], Call, bytes], Awaitable[None]]
_HOLD_SECONDS = 3600.0


class CutError(Exception):
    """The connection breaks here."""


async def _no_hook(*_: Any) -> None:
    """Watch nothing."""


class Proxy:
    """One proxy, for one operator.

    Args:
        upstream: The API server.
        hook: Told of every write before it is passed on, and after, with the server's answer.

    """

    def __init__(self, upstream: Upstream, hook: Hook = _no_hook) -> None:
        self._upstream = upstream
        self._hook = hook
        self._runner: web.AppRunner
        self._open: set[asyncio.BaseTransport] = set()
        self._lists: dict[str, dict[str, str]] = {}
        self.past: dict[str, bytes] = {}
        self.record = Record()
        self.script = Script()
        self.dead = asyncio.Event()
        self.kubeconfig: Path

    @contextlib.asynccontextmanager
    async def run(self) -> AsyncIterator[Proxy]:
        """Listen until the end of the block."""
        application = web.Application(client_max_size=1 << 24)
        application.router.add_route("*", "/{path:.*}", self._serve)
        self._runner = web.AppRunner(application, shutdown_timeout=0.1, access_log=None)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0, ssl_context=self._upstream.tls)
        await site.start()
        port: int = self._runner.addresses[0][1]
        self.kubeconfig = self._upstream.kubeconfig(port)
        try:
            yield self
        finally:
            self.cut()
            await self._runner.cleanup()

    def cut(self) -> None:
        """Let nothing pass any more, and break what is open."""
        self.dead.set()
        self.break_connections()

    def break_connections(self) -> None:
        """Break all open connections, as a network does."""
        for transport in self._open:
            _abort(transport)
        self._open.clear()

    async def photograph(self) -> None:
        """Keep what the lists that were asked for so far say now, for rules that serve the past."""
        for path, headers in self._lists.items():
            async with self._upstream.request("GET", path, headers, b"") as answer:
                self.past[path] = await answer.read()

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        content = request.headers.get("Content-Type", "")
        call = self.record.begin(request.method, request.path, request.query, content)
        transport = request.transport
        if transport is not None:
            self._open.add(transport)
        try:
            return await self._answer(request, call, body)
        except (CutError, aiohttp.ClientError):
            if transport is not None:
                _abort(transport)
                self._open.discard(transport)
            return web.Response()  # there is nobody to read it any more

    async def _answer(self, request: web.Request, call: Call, body: bytes) -> web.StreamResponse:
        self._check()
        rule = self.script.for_request(call)
        if rule is not None:
            call.fault = rule.act
            early = await self._early(rule, request)
            if early is not None:
                call.status = early.status
                return early
        if call.verb == "watch":
            return await self._stream(request, call)
        if call.verb == "list":
            self._lists[request.path_qs] = dict(request.headers)
        if call.writes:
            await self._hook("before", call, body)
        self._check()
        call.reached = True
        async with self._upstream.request(
            request.method, request.path_qs, request.headers, body
        ) as answer:
            data = await answer.read()
        if call.writes:
            await self._hook("after", call, data)
        self._check()
        if rule is not None and rule.act == "reset after":
            raise CutError
        call.status = answer.status
        return web.Response(body=data, status=answer.status, headers=_kept(answer))

    async def _early(self, rule: Rule, request: web.Request) -> web.Response | None:
        """Do what a rule says before a request is passed on; return an answer instead of that."""
        if rule.act == "reset before":
            raise CutError
        if rule.act in {"delay", "hold"}:
            seconds = rule.seconds if rule.act == "delay" else _HOLD_SECONDS
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.dead.wait(), seconds)
        if rule.act == "stale" and request.path_qs in self.past:
            return web.Response(body=self.past[request.path_qs], content_type="application/json")
        return _error(rule) if rule.act == "answer" else None

    async def _stream(self, request: web.Request, call: Call) -> web.StreamResponse:
        call.reached = True
        async with self._upstream.request(
            request.method, request.path_qs, request.headers, b""
        ) as answer:
            call.status = answer.status
            out = web.StreamResponse(status=answer.status, headers=_kept(answer))
            await out.prepare(request)
            await pump(answer.content, out, call, self.script)
            return out

    def _check(self) -> None:
        if self.dead.is_set():
            raise CutError


def _kept(answer: aiohttp.ClientResponse) -> dict[str, str]:
    names = ("Content-Type", "Retry-After", "Warning")
    return {name: answer.headers[name] for name in names if name in answer.headers}


def _error(rule: Rule) -> web.Response:
    headers = {} if rule.retry_after is None else {"Retry-After": str(rule.retry_after)}
    status = {
        "kind": "Status",
        "apiVersion": "v1",
        "status": "Failure",
        "message": f"a fault of the test: {rule.code}",
        "code": rule.code,
    }
    return web.Response(
        body=json.dumps(status).encode(),
        status=rule.code,
        headers=headers,
        content_type="application/json",
    )


def _abort(transport: asyncio.BaseTransport) -> None:
    if isinstance(transport, asyncio.WriteTransport):
        transport.abort()
