"""Watches the cluster with kopf and puts what it sees into the store and the queue.

kopf only watches: no handler patches, no finalizer, no annotation, no index, no posting. It runs in
a thread with a loop of its own, because a stopping kopf cancels every task of its loop that is
younger than itself, and because its loss must not be ours: it is then started again.

A watch that was interrupted tells nothing of objects that vanished meanwhile, and kopf does not
either. So everything is listed by ourselves at the start, after every loss, and now and then.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import threading
from collections.abc import Mapping
from typing import Any

import kopf
import structlog
from kubernetes.aio.client import ApiClient

from pluginsandbox.controller import connection, kinds
from pluginsandbox.controller.cluster import NOT_FOUND, Cluster
from pluginsandbox.controller.errors import ControllerError, PermanentError
from pluginsandbox.controller.kinds import WATCHED, Key, Kind
from pluginsandbox.controller.kopf_settings import watch_only
from pluginsandbox.controller.queue import AsyncQueue
from pluginsandbox.controller.store import Store

log = structlog.get_logger()

RELIST_SECONDS = 600.0
FIRST_PAUSE_SECONDS = 1.0
LAST_PAUSE_SECONDS = 15.0
STOP_SECONDS = 5.0
TLS_CLOSE_SECONDS = 0.25
"""aiohttp closes its TLS connections in the background; its documentation asks for this pause."""


class Watch:
    """Keeps the store like the cluster.

    Args:
        store: Takes in what is seen.
        queue: Takes the keys that it concerns.
        cluster: For our own lists.
        client: Connection and credentials, for kopf.
        namespaces: Namespaces to watch; empty = all.

    """

    def __init__(
        self,
        store: Store,
        queue: AsyncQueue[Key],
        cluster: Cluster,
        client: ApiClient,
        namespaces: tuple[str, ...],
    ) -> None:
        self._store = store
        self._queue = queue
        self._cluster = cluster
        self._client = client
        self._namespaces = namespaces
        self.synced = asyncio.Event()

    async def run(self) -> None:
        """Watch until cancelled; start again, with ever longer pauses, after every loss."""
        pause = FIRST_PAUSE_SECONDS
        while True:
            try:
                await self.list_all()
                self.synced.set()
                pause = FIRST_PAUSE_SECONDS
                await self._watch()
                log.warning("watch ended; starting it again")
            except ControllerError as error:
                log.warning("cannot watch; trying again", error=_advice(error), seconds=pause)
            except Exception:
                log.exception("watch failed; starting it again", seconds=pause)
            await asyncio.sleep(pause)
            pause = min(2 * pause, LAST_PAUSE_SECONDS)

    async def list_all(self) -> None:
        """List everything anew and enqueue what is concerned.

        Raises:
            ControllerError: Something could not be listed.

        """
        for kind, selector in WATCHED:
            for namespace in self._namespaces or (None,):
                bodies: list[dict[str, Any]] = []
                version = "0"
                async for page in self._cluster.pages(kind, namespace, selector):
                    bodies += page.get("items") or ()
                    version = page["metadata"]["resourceVersion"]
                self._enqueue(self._store.replace(kind, namespace, bodies, version))

    async def _watch(self) -> None:
        """Run kopf until it ends, listing now and then."""
        loop = asyncio.get_running_loop()
        stop = threading.Event()
        thread = asyncio.ensure_future(asyncio.to_thread(self._serve, loop, stop))
        try:
            while not thread.done():
                patience = RELIST_SECONDS * (1 + random.random() / 4)  # noqa: S311 - jitter
                await asyncio.wait({thread}, timeout=patience)
                if not thread.done():
                    await self.list_all()
            thread.result()
        finally:
            stop.set()
            with contextlib.suppress(Exception):
                await asyncio.wait_for(asyncio.shield(thread), STOP_SECONDS)

    def _serve(self, loop: asyncio.AbstractEventLoop, stop: threading.Event) -> None:
        """Run kopf in this thread."""

        async def watch() -> None:
            await kopf.operator(
                registry=self._registry(loop),
                settings=watch_only(),
                clusterwide=not self._namespaces,
                namespaces=self._namespaces,
                stop_flag=stop,
            )
            await asyncio.sleep(TLS_CLOSE_SECONDS)

        asyncio.run(watch())

    def _registry(self, loop: asyncio.AbstractEventLoop) -> kopf.OperatorRegistry:
        registry = kopf.OperatorRegistry()

        async def login(**_: Any) -> kopf.ConnectionInfo:
            return await connection.for_kopf(self._client)

        kopf.on.login(registry=registry)(login)
        for kind, _ in WATCHED:
            self._register(registry, kind, loop)
        return registry

    def _register(
        self, registry: kopf.OperatorRegistry, kind: Kind, loop: asyncio.AbstractEventLoop
    ) -> None:
        async def seen(event: Mapping[str, Any], **_: Any) -> None:
            loop.call_soon_threadsafe(self._take, kind, event["type"], event["object"])

        decorate = kopf.on.event(
            kind.group, kind.version, kind.plural, registry=registry, id=kind.plural
        )
        decorate(seen)

    def _take(self, kind: Kind, event: str | None, body: Mapping[str, Any]) -> None:
        take = self._store.remove if event == "DELETED" else self._store.put
        self._enqueue(take(kind, body))

    def _enqueue(self, keys: set[Key]) -> None:
        for key in keys:
            self._queue.add(key)


def _advice(error: ControllerError) -> str:
    if isinstance(error, PermanentError) and error.code == NOT_FOUND:
        return (
            f"the kind {kinds.SANDBOX.name} ({kinds.SANDBOX.api_version}) is not installed: "
            "install the chart with crds.install=true, or apply crds/"
        )
    return str(error)
