"""The operator's own endpoints: `/healthz`, `/readyz`, `/metrics` and `/decisions`."""

from __future__ import annotations

from collections.abc import Callable

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

from pluginsandbox.controller.decisions import Decisions
from pluginsandbox.controller.kinds import Key


class HealthServer:
    """Serves probes and metrics.

    Args:
        registry: Of the metrics.
        ready: Says what is still missing; empty when the operator is ready.
        decisions: Of the autoscaler.
        host: Address to listen on.
        port: Port to listen on; 0 = any free one.

    """

    def __init__(
        self,
        registry: CollectorRegistry,
        ready: Callable[[], str],
        decisions: Decisions,
        host: str,
        port: int,
    ) -> None:
        self._registry = registry
        self._ready = ready
        self._decisions = decisions
        self._host = host
        self.port = port
        application = web.Application()
        application.router.add_get("/healthz", self._healthz)
        application.router.add_get("/readyz", self._readyz)
        application.router.add_get("/metrics", self._metrics)
        application.router.add_get("/decisions", self._decided)
        self._runner = web.AppRunner(
            application, access_log=None, handle_signals=False, shutdown_timeout=1.0
        )

    async def start(self) -> None:
        """Listen; `port` is then the real one.

        Raises:
            OSError: The port is taken.

        """
        await self._runner.setup()
        site = web.TCPSite(self._runner, self._host, self.port)
        await site.start()
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        """Close the port and its connections."""
        await self._runner.cleanup()

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
