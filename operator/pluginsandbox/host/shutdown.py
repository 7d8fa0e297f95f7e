"""The end of a host: politely, completely, and within the time that the kubelet gives."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import structlog

from pluginsandbox.host.assembly import Host
from pluginsandbox.host.http_listener import Listener
from pluginsandbox.host.peers.company import Company
from pluginsandbox.host.reclaim import ON_EXIT_SECONDS

# Until every node's proxy has heard that this pod takes no more calls.
DRAIN_SECONDS = 5.0
# Of the grace period, kept for the processes themselves to end.
MARGIN_SECONDS = 2.0
LOOK_SECONDS = 0.01

log = structlog.get_logger(__name__)


class Stop:
    """When a host is to end, and how fast. To be made inside the event loop."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.hurry = asyncio.Event()
        """No more waiting for callers."""

    def ask(self) -> None:
        """End politely; asked again, hurry."""
        if self.asked.is_set():
            self.hurry.set()
        self.asked.set()

    def ask_at_once(self) -> None:
        """End without the wait for a cluster's proxies: a person at a terminal asked."""
        self.asked.set()
        self.hurry.set()


async def drain(
    host: Host,
    door: Listener,
    stop: Stop,
    seconds: float = DRAIN_SECONDS,
    company: Company | None = None,
) -> None:
    """Serve what is bound a while longer, finish all calls, give everything back.

    Args:
        host: Which; not ready from now on, and binding nothing new.
        door: Its callers.
        stop: Tells when to hurry.
        seconds: How long to serve on.
        company: The other pods, which take over what outlives this one.

    """
    grace = host.config.termination_grace_seconds
    end = host.clock() + grace - min(MARGIN_SECONDS, grace / 4)
    load, table = host.load, host.table
    host.invoker.draining = door.draining = True
    over = end - ON_EXIT_SECONDS * 2
    serve_until = min(host.clock() + seconds, over)
    if company is not None:
        company.begin_to_leave()
        # What is left of a short grace period is needed to hand contexts over.
        serve_until = min(serve_until, (host.clock() + over) / 2)
    log.info("draining", contexts=len(table), calls=load.calls.count)
    # Also with nothing bound and nobody connected: the next call may be under way to here.
    await _wait(host, lambda: False, serve_until, stop)
    door.close()
    if company is not None:
        await company.handover.give_all(over)
    await _wait(host, lambda: not load.calls.count, over, stop)
    if company is not None:
        await _wait(host, lambda: not company.router.busy, over, stop)
    host.outcomes.closing = True
    contexts = list(table)
    for context in contexts:
        host.reclaimer.end(context, "Shutdown")
    patience = min(end, host.clock() + ON_EXIT_SECONDS * 2) if stop.hurry.is_set() else end
    await _wait(host, lambda: not len(table), patience)
    if company is not None:
        await company.leave()
    late = len(table)
    pools = [plugin.pool for plugin in host.plugins.values() if plugin.pool is not None]
    for pool in pools:
        pool.close()
    await _wait(host, lambda: all(pool.empty for pool in pools), host.clock() + MARGIN_SECONDS)
    log.info("drained", reclaimed=len(contexts) - late, ended_by_force=late)


async def _wait(
    host: Host, done: Callable[[], bool], until: float, stop: Stop | None = None
) -> None:
    while not done() and host.clock() < until:
        if stop is not None and stop.hurry.is_set():
            return
        await asyncio.sleep(LOOK_SECONDS)
