"""Watches sandboxes with kopf and puts what it sees into the store.

kopf only watches: no handler patches, no finalizer, no annotation, no index, no posting. It runs in
a thread with a loop of its own, because a stopping kopf cancels every task of its loop that is
younger than itself, and because its loss must not be ours: it is then started again.

A watch that begins tells nothing of objects that vanished before, and kopf does not either. So
whenever kopf has listed, at the start or after the API server forgot where its watch was, we list,
too: after kopf, so that what vanishes later is told by its watch. All is listed now and then.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import aiohttp
import kopf
import structlog
import uvloop
from kubernetes.aio.client import ApiClient

from pluginsandbox.controller import connection, informer
from pluginsandbox.controller.cluster import NOT_FOUND, Cluster
from pluginsandbox.controller.errors import ControllerError, PermanentError
from pluginsandbox.controller.informer import jittered, take_list
from pluginsandbox.controller.kinds import SANDBOX, Key
from pluginsandbox.controller.kopf_settings import watch_only
from pluginsandbox.controller.store import Store

log = structlog.get_logger()

FIRST_PAUSE_SECONDS = 0.5
LAST_PAUSE_SECONDS = 2.0
LONG_SECONDS = 30.0
"""A watch that lived for so long starts again with the first pause."""
STOP_SECONDS = 5.0
CLOSED_SECONDS = 3
"""A kopf that renews its login has a new connection at once."""
CANCELS = 8
CANCEL_SECONDS = 0.25
CLOSE_LOOKS, CLOSE_LOOK_SECONDS = 500, 0.01


class KopfWatch:
    """Keeps the sandboxes of the store like those of the cluster.

    Args:
        store: Takes in what is seen.
        cluster: For our own lists.
        client: Connection and credentials, for kopf.
        namespaces: Namespaces to watch; empty = all.
        concerns: Told the sandboxes that changed.

    """

    def __init__(
        self,
        store: Store,
        cluster: Cluster,
        client: ApiClient,
        namespaces: tuple[str, ...],
        concerns: Callable[[set[Key]], None],
    ) -> None:
        self._store = store
        self._cluster = cluster
        self._client = client
        self._namespaces = namespaces
        self._concerns = concerns
        self._everywhere: tuple[str | None, ...] = namespaces or (None,)
        self._kopf_listed: asyncio.Queue[str | None] = asyncio.Queue()
        self._events: deque[tuple[str | None, Mapping[str, Any]]] = deque()
        self._woken = False
        self.listed = asyncio.Event()

    async def run(self) -> None:
        """Watch until cancelled; start again, with ever longer pauses, after every loss."""
        pause = FIRST_PAUSE_SECONDS
        while True:
            began = time.monotonic()
            try:
                await self._probe()
                await self._watch()
                log.warning("watch ended; starting it again")
            except ControllerError as error:
                log.warning("cannot watch; trying again", error=_advice(error), seconds=pause)
            except Exception:
                log.exception("watch failed; starting it again", seconds=pause)
            await asyncio.sleep(pause)
            lasted = time.monotonic() - began > LONG_SECONDS
            pause = FIRST_PAUSE_SECONDS if lasted else min(2 * pause, LAST_PAUSE_SECONDS)

    async def _probe(self) -> None:
        """Find out whether sandboxes can be listed, to say what is wrong if not.

        Raises:
            ControllerError: They cannot.

        """
        for namespace in self._everywhere:
            async for _ in self._cluster.pages(SANDBOX, namespace, limit=1):
                break

    async def _watch(self) -> None:
        """Run kopf until it ends, and list after it.

        Raises:
            ControllerError: Sandboxes could not be listed.

        """
        loop = asyncio.get_running_loop()
        stop = threading.Event()
        self._kopf_listed = asyncio.Queue()
        thread = asyncio.ensure_future(asyncio.to_thread(self._serve, loop, stop))
        listing = asyncio.ensure_future(self._keep_listing())
        try:
            await asyncio.wait({thread, listing}, return_when=asyncio.FIRST_COMPLETED)
            for each in (thread, listing):
                if each.done():
                    each.result()
        finally:
            stop.set()
            listing.cancel()
            with contextlib.suppress(Exception):
                await asyncio.wait_for(asyncio.shield(thread), STOP_SECONDS)

    async def _keep_listing(self) -> None:
        missing = set(self._everywhere)
        while True:
            patience = jittered(informer.RELIST_SECONDS)
            try:
                due = {await asyncio.wait_for(self._kopf_listed.get(), patience)}
            except TimeoutError:
                due = set(self._everywhere)
            for namespace in due:
                where = (SANDBOX, namespace, "")
                self._concerns((await take_list(self._store, self._cluster, where))[0])
            missing -= due
            if not missing:
                self.listed.set()

    def _serve(self, loop: asyncio.AbstractEventLoop, stop: threading.Event) -> None:
        """Run kopf in this thread."""

        async def watch() -> None:
            sessions: list[kopf.AiohttpSession] = []
            sockets: list[socket.socket] = []
            running = asyncio.create_task(
                kopf.operator(
                    registry=self._registry(loop, sessions, sockets),
                    settings=watch_only(),
                    clusterwide=not self._namespaces,
                    namespaces=self._namespaces,
                    stop_flag=stop,
                )
            )
            try:
                await _until_over(running, sessions)
            finally:
                await _closed(sockets)

        mine = uvloop.new_event_loop()
        try:
            mine.run_until_complete(watch())
        finally:
            stop.set()  # a thread of kopf's waits for it
            _leave(mine)

    def _registry(
        self,
        loop: asyncio.AbstractEventLoop,
        sessions: list[kopf.AiohttpSession],
        sockets: list[socket.socket],
    ) -> kopf.OperatorRegistry:
        registry = kopf.OperatorRegistry()

        def open_socket(address: aiohttp.AddrInfoType) -> socket.socket:
            sockets[:] = [*_open(sockets), socket.socket(*address[:3])]
            return sockets[-1]

        async def login(**_: Any) -> kopf.AiohttpSession:
            session = connection.session(
                self._client,
                0,
                headers=await connection.token(self._client),
                trace_configs=[self._tracing(loop)],
                open_socket=open_socket,
            )
            sessions[:] = [
                kopf.AiohttpSession(server=self._client.configuration.host, aiohttp_session=session)
            ]
            return sessions[0]

        async def seen(event: Mapping[str, Any], **_: Any) -> None:
            self._events.append((event["type"], event["object"]))
            if not self._woken:  # waking the other loop costs more than what it then does
                self._woken = True
                loop.call_soon_threadsafe(self._take_all)

        kopf.on.login(registry=registry)(login)
        decorate = kopf.on.event(SANDBOX.group, SANDBOX.version, SANDBOX.plural, registry=registry)
        decorate(seen)
        return registry

    def _tracing(self, loop: asyncio.AbstractEventLoop) -> aiohttp.TraceConfig:
        """Return what notices that kopf has listed the sandboxes."""
        paths = {SANDBOX.path(namespace): namespace for namespace in self._everywhere}

        async def ended(_: Any, __: Any, request: aiohttp.TraceRequestEndParams) -> None:
            whole = not {"watch", "continue"} & request.url.query.keys()
            if request.url.path in paths and whole and request.response.ok:
                loop.call_soon_threadsafe(self._kopf_listed.put_nowait, paths[request.url.path])

        tracing = aiohttp.TraceConfig()
        tracing.on_request_end.append(ended)
        return tracing

    def _take_all(self) -> None:
        self._woken = False  # before it looks: what comes later wakes it again
        while self._events:
            self._take(*self._events.popleft())

    def _take(self, event: str | None, body: Mapping[str, Any]) -> None:
        take = self._store.remove if event == "DELETED" else self._store.put
        self._concerns(take(SANDBOX, body))


async def _until_over(running: asyncio.Task[None], sessions: list[kopf.AiohttpSession]) -> None:
    """Wait for the end of kopf; one that has let go of its connection and not of us has ended, too.

    After an error in a watch kopf stops its parts one by one, and some wait for ever for a new
    login that nobody will make.
    """
    closed = 0
    while not running.done() and closed < CLOSED_SECONDS:
        await asyncio.wait({running}, timeout=1)
        closed = closed + 1 if sessions and sessions[0].aiohttp_session.closed else 0
    if running.done():
        await running


def _open(sockets: Iterable[socket.socket]) -> list[socket.socket]:
    return [each for each in sockets if each.fileno() >= 0]


async def _closed(sockets: Iterable[socket.socket]) -> None:
    """End what aiohttp closes in the background, however slow the other side is to say good-bye."""
    for each in _open(sockets):
        with contextlib.suppress(OSError):  # the other side was first
            each.shutdown(socket.SHUT_RDWR)
    for _ in range(CLOSE_LOOKS):
        if not _open(sockets):
            break
        await asyncio.sleep(CLOSE_LOOK_SECONDS)


def _leave(loop: asyncio.AbstractEventLoop) -> None:
    """Close a loop, though some of its tasks take being cancelled for a reason to log in again."""
    for _ in range(CANCELS):
        tasks = asyncio.all_tasks(loop)
        if not tasks:
            break
        for task in tasks:
            task.cancel()
        loop.run_until_complete(asyncio.wait(tasks, timeout=CANCEL_SECONDS))
    loop.run_until_complete(loop.shutdown_asyncgens())
    loop.run_until_complete(loop.shutdown_default_executor())
    loop.close()


def _advice(error: ControllerError) -> str:
    if isinstance(error, PermanentError) and error.code == NOT_FOUND:
        return (
            f"the kind {SANDBOX.name} ({SANDBOX.api_version}) is not installed: "
            "install the chart with crds.install=true, or apply crds/"
        )
    return str(error)
