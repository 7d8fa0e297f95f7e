"""How much memory a live context takes, in the host and in the worker."""

from __future__ import annotations

import asyncio
import gc
import os
import time

from pluginsandbox.host.assembly import Host
from tests.bench import processes
from tests.bench.inside import bed
from tests.bench.load import body

CONTEXTS = 100_000
AT_ONCE = 64
BODY = body(100).encode()


async def measure() -> dict[str, object]:
    """Return bytes for each of many contexts, and how many were bound in a second."""
    with bed.echo(max_contexts=CONTEXTS + AT_ONCE) as plugin:
        async with bed.host(plugin) as host:
            await _bind(host, "warm-up", AT_ONCE)
            worker = next(
                pid for pid in reversed(processes.tree(os.getpid())) if pid != os.getpid()
            )
            before = _bytes(worker)
            began = time.perf_counter()
            await _bind(host, "c", CONTEXTS)
            seconds = time.perf_counter() - began
            after = _bytes(worker)
    each = [(late - early) / CONTEXTS for early, late in zip(before, after, strict=True)]
    return {"host": each[0], "worker": each[1], "rate": CONTEXTS / seconds}


async def _bind(host: Host, prefix: str, count: int) -> None:
    for start in range(0, count, AT_ONCE):
        numbers = range(start, min(start + AT_ONCE, count))
        await asyncio.gather(*(bed.call(host, f"{prefix}{n}", BODY) for n in numbers))


def _bytes(worker: int) -> tuple[int, int]:
    gc.collect()
    return processes.private_bytes(os.getpid()), processes.private_bytes(worker)
