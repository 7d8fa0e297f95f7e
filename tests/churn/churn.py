"""Binds and reclaims very many contexts, and compares what is held before and after."""

from __future__ import annotations

import asyncio
import dataclasses
import functools
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import uvloop

from tests.churn import load, watch
from tests.churn.watch import Held
from tests.integration.host_bed import Host, plugin, running

SHARED, OWN = "shared", "own"
WARM_WORKERS = 4
# What the host remembers of ended contexts is bounded by `contexts.TOMBSTONES`; this fills it.
WARM_UP = 17_000
COUNTER = """
import os
from pluginsandbox.sdk import Plugin, function, slot


class Counter(Plugin):
    total = slot(int, default=0)

    @function
    def add(self, amount: int = 1) -> int:
        self.total.set(self.total.get() + amount)
        return self.total.get()

    @function
    def process(self) -> int:
        return os.getpid()
"""
# Binds of one step, and workers of one: between steps is looked.
STEP, STEP_WORKERS = 10_000, 250

Point = tuple[int, Held]
"""Binds so far, and what was held then."""


@dataclasses.dataclass(frozen=True)
class Report:
    """What came of it."""

    ready: Held
    """Before the first call."""
    start: Held
    """When as many ended contexts are remembered as ever will be."""
    end: Held
    binds: int
    reclaims: int
    workers: int
    """How many were started, served one call and were reaped."""
    seconds: tuple[float, float]
    """Of the binds, of the workers."""
    curve: list[Point]

    @property
    def growth(self) -> float:
        """Share by which memory is larger at the end than at the start."""
        return self.end.total / self.start.total - 1

    @property
    def line(self) -> str:
        """The whole of it."""
        start, end = self.start, self.end
        return (
            f"binds={self.binds} reclaims={self.reclaims} workers={self.workers} "
            f"rss_ready={self.ready.total >> 10}KiB rss_start={start.total >> 10}KiB "
            f"rss_end={end.total >> 10}KiB growth={self.growth:+.1%} "
            f"fds={end.descriptors - start.descriptors:+d} "
            f"mappings={end.mappings - start.mappings:+d} "
            f"children={end.children - start.children:+d} zombies={end.zombies} "
            f"files={end.files - start.files:+d}"
        )


def run(folder: Path, binds: int, workers: int) -> Report:
    """Churn.

    Args:
        folder: Where the host's files go.
        binds: How many contexts come and go in a worker that they share, half of them named.
        workers: How many come and go that have a worker of their own.

    """
    plugins = (
        plugin(folder, SHARED, COUNTER),
        plugin(folder, OWN, COUNTER, isolation="PerContext", max_contexts=64),
    )
    with running(folder, *plugins, warm_workers=WARM_WORKERS) as host:
        host.until(lambda: len(host.workers()) == 1 + WARM_WORKERS)
        worker = host.call("process", plugin=SHARED).json
        look = functools.partial(watch.look, host, folder, worker)
        ready, curve = look(), list[Point]()
        _send(host, _named, 0, WARM_UP)
        start, before = _rest(host, look, ready), _reclaims(host)
        seconds = _steps(host, load_mixed, binds, STEP, curve, look)
        _rest(host, look, ready)
        own_seconds = _steps(host, _own, workers, STEP_WORKERS, curve, look)
        end = _rest(host, look, ready)
        reclaims = _reclaims(host) - before
        return Report(
            *(ready, start, end),
            *(binds + workers, reclaims, workers),
            *((seconds, own_seconds), curve),
        )


def load_mixed(first: int, count: int) -> Iterator[bytes]:
    """Return requests in fresh and in named contexts."""
    return load.mixed(SHARED, first, count)


def _named(first: int, count: int) -> Iterator[bytes]:
    for number in range(first, first + count):
        yield load.named(SHARED, f"w-{number}")
        yield load.release(f"w-{number}")


def _own(_: int, count: int) -> Iterator[bytes]:
    return (load.fresh(OWN) for _ in range(count))


def _steps(
    host: Host,
    make: Callable[[int, int], Iterator[bytes]],
    count: int,
    step: int,
    curve: list[Point],
    look: Callable[[], Held],
) -> float:
    """Send in steps, look after each; return the seconds that the sending took."""
    seconds, before = 0.0, curve[-1][0] if curve else 0
    for done in range(0, count, step):
        size = min(step, count - done)
        began = time.monotonic()
        _send(host, make, done, size)
        seconds += time.monotonic() - began
        curve.append((before + done + size, look()))
    return seconds


def _send(host: Host, make: Callable[[int, int], Iterator[bytes]], first: int, count: int) -> None:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(load.send(host.http, load.spread(make, first, count)))


def _rest(host: Host, look: Callable[[], Held], ready: Held) -> Held:
    """Wait until nothing is bound and only the warm workers are there; return what is held then."""
    host.until(lambda: not any(host.metric("bindings", plugin=name) for name in (SHARED, OWN)))
    host.until(lambda: len(host.workers()) == 1 + WARM_WORKERS)
    held = look()
    # Connections are let go a moment after they were closed; what never goes, the report shows.
    end = time.monotonic() + 10
    while held.descriptors > ready.descriptors and time.monotonic() < end:
        held = look()
    return held


def _reclaims(host: Host) -> int:
    names = [(name, "Released") for name in (SHARED, OWN)]
    return int(sum(host.metric("reclaims_total", plugin=n, cause=c) for n, c in names))
