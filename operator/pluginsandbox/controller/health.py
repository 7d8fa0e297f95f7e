"""The operator's own endpoints: `/healthz`, `/readyz`, `/metrics` and `/decisions`, no other.

Probes are for everybody; with a guard, the others are for whom it lets pass.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

from pluginsandbox.controller.certificate import Certificate
from pluginsandbox.controller.decisions import Decisions
from pluginsandbox.controller.guard import Guard
from pluginsandbox.controller.kinds import Key

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class HealthServer:
    """Serves probes and metrics.

    Args:
        registry: Of the metrics.
        ready: Says what is still missing; empty when the operator is ready.
        decisions: Of the autoscaler.
        host: Address to listen on.
        port: Port to listen on; 0 = any free one.
        guard: Of what is no probe; None = it is for everybody.
        certificate: For TLS; None = plain HTTP.

    """

    def __init__(
        self,
        registry: CollectorRegistry,
        ready: Callable[[], str],
        decisions: Decisions,
        host: str,
        port: int,
        guard: Guard | None = None,
        certificate: Certificate | None = None,
    ) -> None:
        self._registry = registry
        self._ready = ready
        self._decisions = decisions
        self._host = host
        self.port = port
        self._guard = guard
        self._certificate = certificate
        self._following: asyncio.Task[None] | None = None
        application = web.Application()
        application.router.add_get("/healthz", self._healthz)
        application.router.add_get("/readyz", self._readyz)
        application.router.add_get("/metrics", self._guarded(self._metrics))
        application.router.add_get("/decisions", self._guarded(self._decided))
        self._runner = web.AppRunner(
            application, access_log=None, handle_signals=False, shutdown_timeout=1.0
        )

    async def start(self) -> None:
        """Listen; `port` is then the real one.

        Raises:
            OSError: The port is taken.

        """
        await self._runner.setup()
        context = None
        if self._certificate is not None:
            context = self._certificate.context
            self._following = asyncio.create_task(self._certificate.follow())
        site = web.TCPSite(self._runner, self._host, self.port, ssl_context=context)
        await site.start()
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        """Close the port and its connections."""
        if self._following is not None:
            self._following.cancel()
        await self._runner.cleanup()

    def _guarded(self, handler: Handler) -> Handler:
        async def guarded(request: web.Request) -> web.StreamResponse:
            refusal = None if self._guard is None else await self._guard.refusal(request)
            return refusal or await handler(request)

        return guarded

    async def _healthz(self, _: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    async def _readyz(self, _: web.Request) -> web.Response:
        missing = self._ready()
        return web.Response(text=f"{missing or 'ok'}\n", status=503 if missing else 200)

    async def _metrics(self, _: web.Request) -> web.Response:
        body = generate_latest(self._registry)
        return web.Response(body=body, headers={"Content-Type": CONTENT_TYPE_LATEST})

    async def _decided(self, request: web.Request) -> web.Response:
        key = Key(request.query.get("namespace", ""), request.query.get("name", ""))
        whole = "records" in request.query
        body = self._decisions.records(key) if whole else self._decisions.document(key)
        return web.Response(body=body, content_type="application/json")
