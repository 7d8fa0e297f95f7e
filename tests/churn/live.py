"""What contexts cost that are alive all at once."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Iterator
from pathlib import Path

import uvloop

from tests.churn import load, watch
from tests.churn.churn import COUNTER, SHARED
from tests.integration.host_bed import Host, plugin, running

DAY = 86_400


@dataclasses.dataclass(frozen=True)
class Cost:
    """Of one live context with one binding, in bytes."""

    contexts: int
    host: float
    worker: float


def run(folder: Path, contexts: int) -> Cost:
    """Bind contexts, and keep them.

    Args:
        folder: Where the host's files go.
        contexts: How many.

    """
    shared = plugin(folder, SHARED, COUNTER, max_contexts=contexts + 200, memory_bytes=1 << 30)
    with running(folder, shared, idle_timeout_seconds=DAY, deadline_seconds=DAY) as host:
        worker = host.call("process", plugin=SHARED).json
        # What the first few need is no cost of one.
        _bind(host, 0, 100)
        before = _resident(host, worker)
        _bind(host, 100, contexts)
        after = _resident(host, worker)
        assert host.metric("contexts") == contexts + 100
        return Cost(contexts, *((b - a) / contexts for a, b in zip(before, after, strict=True)))


def _bind(host: Host, first: int, count: int) -> None:
    def requests(first: int, count: int) -> Iterator[bytes]:
        return (load.named(SHARED, f"order-{number:09}") for number in range(first, first + count))

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(load.send(host.http, load.spread(requests, first, count)))


def _resident(host: Host, worker: int) -> tuple[int, int]:
    return watch.resident(host.process.pid), watch.resident(worker)
