"""The operator's process: wires the parts together, runs the workers, stops cleanly.

Caches are kept warm whether or not this process leads; only the leader's workers act.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import os
import pathlib
import signal
import socket
import time
import uuid
from typing import Any

import structlog
import uvloop
from kubernetes.aio.client import ApiClient
from typing_extensions import override

from pluginsandbox.api.reasons import Reason
from pluginsandbox.controller import connection
from pluginsandbox.controller.apply import Applier
from pluginsandbox.controller.certificate import Certificate
from pluginsandbox.controller.clocks import Clocks
from pluginsandbox.controller.cluster import Cluster
from pluginsandbox.controller.decisions import Decisions
from pluginsandbox.controller.errors import ControllerError, PermanentError, RetryError
from pluginsandbox.controller.events import Recorder
from pluginsandbox.controller.guard import Guard
from pluginsandbox.controller.health import HealthServer
from pluginsandbox.controller.hosts import Hosts
from pluginsandbox.controller.kinds import Key
from pluginsandbox.controller.lease import Lease
from pluginsandbox.controller.observe import Observer
from pluginsandbox.controller.queue import LAST_RETRY_SECONDS, AsyncQueue
from pluginsandbox.controller.reconcile import Reconciler
from pluginsandbox.controller.report import Reporter
from pluginsandbox.controller.scaler import Scaler
from pluginsandbox.controller.settings import Settings
from pluginsandbox.controller.store import Store
from pluginsandbox.controller.watch import Watch
from pluginsandbox.telemetry.operator_metrics import OperatorMetrics

log = structlog.get_logger()

WORKERS = 48
"""Sandboxes that are looked at at once. Most of them wait for the API server, which gives addresses
to Services one by one: fewer would have sandboxes wait for each other's."""
UNANSWERED_SECONDS = 2.0
"""Longest pause of a key for want of an answer: that says nothing against the key."""
DRAIN_SECONDS = 10.0
ACCOUNT_NAMESPACE = pathlib.Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")


class Operator:
    """One operator process.

    Args:
        settings: The administrator's configuration.
        client: Connection and credentials; closed at the end.
        namespaces: Namespaces to watch; empty = all.
        host: Address of the health server.
        port: Port of the health server; 0 = any free one.
        clocks: Of this machine.

    """

    def __init__(
        self,
        settings: Settings,
        client: ApiClient,
        *,
        namespaces: tuple[str, ...] = (),
        host: str = "0.0.0.0",  # noqa: S104 - probes and scrapes come from other machines
        port: int = 8080,
        clocks: Clocks | None = None,
    ) -> None:
        clocks = clocks or Clocks()
        clock = clocks.steady
        identity = f"{os.environ.get('POD_NAME') or socket.gethostname()}_{uuid.uuid4().hex[:8]}"
        self.metrics = OperatorMetrics()
        self.store = Store()
        self.queue: AsyncQueue[Key] = AsyncQueue(clock, on_depth=self.metrics.queue_depth.set)
        plain = Cluster(client, self.metrics)
        self.lease = Lease(
            plain,
            namespace=_lease_namespace(settings, namespaces),
            name=settings.operator.lease_name,
            identity=identity,
            clock=clock,
            on_change=self._lead,
        )
        cluster = Cluster(client, self.metrics, self.lease.gate)
        self._cluster = cluster
        self._hosts = Hosts(clock)
        self._recorder = Recorder(cluster, identity, clock)
        self.watch = Watch(self.store, self.queue, cluster, client, namespaces)
        decisions = Decisions()
        self._scaler = Scaler(
            self.store,
            self.metrics,
            decisions,
            wall=clocks.wall,
            wanted=self.queue.add,
            announce=self._recorder.announce,
        )
        self._reconciler = Reconciler(
            store=self.store,
            observer=Observer(
                self.store, cluster, self._hosts, settings, clock, self._scaler.scaled
            ),
            applier=Applier(self.store, cluster),
            reporter=Reporter(self.store, cluster, clock),
            recorder=self._recorder,
            settings=settings,
            metrics=self.metrics,
            clocks=clocks,
        )
        folder = settings.endpoints.tls_directory
        self.health = HealthServer(
            self.metrics.registry,
            self._missing,
            decisions,
            host,
            port,
            guard=Guard(plain, clock) if settings.endpoints.authentication else None,
            certificate=Certificate(pathlib.Path(folder)) if folder else None,
        )
        self._stopping = False
        self._busy: set[asyncio.Task[Any] | None] = set()

    async def run(self, stop: asyncio.Event) -> None:
        """Reconcile until `stop` is set, then finish what is on its way and leave the Lease.

        Raises:
            OSError: The health server's port is taken.

        """
        await self.health.start()
        log.info("operator started", port=self.health.port)
        background = [
            asyncio.create_task(each)
            for each in (
                self.watch.run(),
                self.lease.run(),
                self._recorder.run(),
                self._scaler.run(self._leading),
            )
        ]
        workers = [asyncio.create_task(self._work()) for _ in range(WORKERS)]
        stopping = asyncio.create_task(stop.wait())
        try:
            done, _ = await asyncio.wait(
                {stopping, *background, *workers}, return_when=asyncio.FIRST_COMPLETED
            )
            for task in done - {stopping}:
                task.result()
        finally:
            stopping.cancel()
            await self._shut_down(workers, background)

    async def _shut_down(
        self, workers: list[asyncio.Task[None]], background: list[asyncio.Task[None]]
    ) -> None:
        log.info("operator stops")
        self._stopping = True
        for worker in workers:
            if worker not in self._busy:
                worker.cancel()
        await asyncio.wait(workers, timeout=DRAIN_SECONDS)
        lease = background.pop(1)
        await _cancel([*workers, lease])
        await self.lease.release()
        await _cancel(background)
        await self.health.stop()
        await self._hosts.close()
        await self._cluster.close()
        log.info("operator stopped")

    async def _work(self) -> None:
        me = asyncio.current_task()
        while not self._stopping:
            await self.watch.synced.wait()
            await self.lease.wait_held()
            key = await self.queue.take()
            self._busy.add(me)
            try:
                if self.lease.held:
                    await self._handle(key)
                else:
                    self.queue.add(key)
            finally:
                self._busy.discard(me)
                self.queue.done(key)

    async def _handle(self, key: Key) -> None:
        """Reconcile one key; whatever comes of it, the key comes again when it should."""
        started = time.perf_counter()
        outcome = "success"
        try:
            again = await self._reconciler.reconcile(key)
        except RetryError as error:
            outcome = "retry"
            at_most = LAST_RETRY_SECONDS if error.code else UNANSWERED_SECONDS
            delay = self.queue.retry(key, error.after, at_most)
            log.info("retry", sandbox=str(key), error=str(error), seconds=round(delay, 2))
        except PermanentError as error:
            outcome = "refused"
            log.warning("refused", sandbox=str(key), error=str(error))
            await self._tell(key, Reason.REQUEST_REFUSED, f"the API server refuses: {error}")
        except Exception as error:
            outcome = "error"
            log.exception("reconcile failed", sandbox=str(key))
            what = f"{type(error).__name__}: {error}"
            await self._tell(key, Reason.OPERATOR_ERROR, f"the operator failed: {what}")
        else:
            self.queue.forget(key)
            if again is None:
                self.queue.drop(key)
            else:
                self.queue.add_after(key, again, jitter=True)
        self.metrics.reconcile_duration.labels(outcome).observe(time.perf_counter() - started)

    async def _tell(self, key: Key, reason: Reason, message: str) -> None:
        """Say in the status what went wrong, as far as that is possible, and try again later."""
        self.queue.retry(key)
        try:
            await self._reconciler.trouble(key, reason, message)
        except ControllerError as error:
            log.info("status not written", sandbox=str(key), error=str(error))

    def _lead(self, leading: bool) -> None:  # noqa: FBT001 - the Lease's one word
        self.metrics.leader.set(leading)
        if leading:
            for key in self.store.sandboxes():
                self.queue.add(key)

    def _leading(self) -> bool:
        return self.lease.held and self.watch.synced.is_set()

    def _missing(self) -> str:
        if self._stopping:
            return "stopping"
        return "" if self.watch.synced.is_set() else "the first list is not complete"


def run(
    settings: Settings,
    *,
    namespaces: tuple[str, ...] = (),
    kubeconfig: pathlib.Path | None = None,
    port: int = 8080,
) -> int:
    """Run the operator until SIGTERM or SIGINT; return the exit status.

    Args:
        settings: The administrator's configuration.
        namespaces: Namespaces to watch; empty = all.
        kubeconfig: How to reach the API server; None = the pod's own account, else KUBECONFIG.
        port: Of /healthz, /readyz and /metrics.

    """
    _bridge_logs()
    _spare_collections()
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_main(settings, namespaces, kubeconfig, port))
    except (connection.ConnectionSetupError, OSError) as error:
        log.error("the operator cannot start", error=str(error))  # noqa: TRY400 - says it all
        return 1
    return 0


async def _main(
    settings: Settings,
    namespaces: tuple[str, ...],
    kubeconfig: pathlib.Path | None,
    port: int,
) -> None:
    client = await connection.connect(kubeconfig)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    await Operator(settings, client, namespaces=namespaces, port=port).run(stop)


async def _cancel(tasks: list[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await asyncio.gather(*tasks, return_exceptions=True)


def _lease_namespace(settings: Settings, namespaces: tuple[str, ...]) -> str:
    if settings.operator.namespace:
        return settings.operator.namespace
    with contextlib.suppress(OSError):
        return ACCOUNT_NAMESPACE.read_text(encoding="utf-8").strip()
    return namespaces[0] if namespaces else "default"


class _Bridge(logging.Handler):
    """Passes warnings of libraries on to the structured log."""

    @override
    def emit(self, record: logging.LogRecord) -> None:
        if "OS signals are ignored" not in record.getMessage():  # on purpose: they are ours
            log.log(record.levelno, record.getMessage(), library=record.name)


def _spare_collections() -> None:
    """Look for garbage in cycles more rarely, and never among what was imported.

    Reading an event makes a thousand containers, which by default means a collection each time.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)


def _bridge_logs() -> None:
    logging.basicConfig(handlers=[_Bridge()], level=logging.WARNING, force=True)
