"""What stands for the hosts of pods that run nowhere: a loopback server that answers as they do."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import secrets
from collections.abc import AsyncIterator
from typing import Any

from aiohttp import web

from pluginsandbox.controller.children.common import ADMIN_PORT

Body = dict[str, Any]

SILENT_SECONDS = 5.0
"""Longer than anybody waits for a host."""


class FakeHosts:
    """Answers `/stats` on a loopback address, as all hosts of the test."""

    def __init__(self) -> None:
        self.stats: Any = {
            "plugins": [{"name": "counter", "state": "Loaded"}],
            "confinement": {"holds": True, "landlockAbi": 7},
        }
        self.asked = 0
        self.calls = 0
        """Calls in progress in each pod, in each of the last 120 seconds."""
        numbers = (secrets.randbelow(254) + 1 for _ in range(3))
        self.address = ".".join(map(str, (127, *numbers)))  # other sessions have their own
        self.contexts: dict[str, int] = {}
        """In each pod that has an address of its own, by that; 0 in the others."""
        self.lies: dict[str, bytes | None] = {}
        """What those say at their address, whatever it is; None: they say nothing."""
        self._free: list[str] = []
        self._runner: web.AppRunner

    @contextlib.asynccontextmanager
    async def run(self) -> AsyncIterator[FakeHosts]:
        """Listen."""
        application = web.Application()
        application.router.add_get("/stats", self._answer)
        self._runner = web.AppRunner(application, shutdown_timeout=1)
        await self._runner.setup()
        await web.TCPSite(self._runner, self.address, ADMIN_PORT).start()
        try:
            yield self
        finally:
            await self._runner.cleanup()

    async def apart(self, *contexts: int) -> None:
        """Give so many pods to come an address of their own, and so many contexts."""
        network, _, last = self.address.rpartition(".")
        for number, each in enumerate(contexts, start=1):
            address = f"{network}.{(int(last) + number) % 254 + 1}"
            await web.TCPSite(self._runner, address, ADMIN_PORT).start()
            self.contexts[address] = each
            self._free.append(address)

    def place(self) -> str:
        """Return the address of the next pod."""
        return self._free.pop(0) if self._free else self.address

    async def _answer(self, request: web.Request) -> web.Response:
        self.asked += 1
        here = request.url.host or ""
        if here in self.lies:
            lie = self.lies[here]
            if lie is None:
                await asyncio.sleep(SILENT_SECONDS)
            return web.Response(body=lie)
        if isinstance(self.stats, bytes):
            return web.Response(body=self.stats)
        contexts = self.contexts.get(here, 0)
        return web.json_response({"samples": self._samples(contexts), **self.stats})

    def _samples(self, contexts: int) -> list[Body]:
        now = int(dt.datetime.now(dt.UTC).timestamp())
        numbers = {"concurrency": self.calls * 1000, "queued": 0, "requests": self.calls}
        numbers |= {"refused": 0, "contexts": contexts}
        return [{"time": now - ago, **numbers} for ago in reversed(range(120))]
