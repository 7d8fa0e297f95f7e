"""What it takes to bind a context: the first call in it, less what the next call takes."""

from __future__ import annotations

import time

from pluginsandbox.host.assembly import Host
from pluginsandbox.host.pool import PerContext
from tests.bench.inside import bed
from tests.bench.load import body

CONTEXTS = 1000
WARM = 16
WARM_ROUNDS = 6
BEYOND = 40
"""Contexts bound one after the other once no warm worker is left."""
BODY = body(100).encode()

Pairs = list[tuple[float, float]]
"""Microseconds of the first and of the second call in a context."""


async def measure() -> dict[str, object]:
    """Return pairs of calls, and how fast warm workers come back."""
    with bed.echo(max_contexts=CONTEXTS) as plugin:
        async with bed.host(plugin) as host:
            await _pair(host, "warm-up")
            shared = [await _pair(host, f"c{number}") for number in range(CONTEXTS - 1)]
    with bed.echo(isolation="PerContext", max_contexts=WARM_ROUNDS * WARM + BEYOND) as plugin:
        async with bed.host(plugin, warm_workers=WARM) as host:
            warm, seconds = await _warm(host)
            beyond = [await _pair(host, f"beyond-{number}") for number in range(WARM + BEYOND)]
    return {"shared": shared, "warm": warm, "beyond": beyond[WARM:], "replenish": seconds}


async def _warm(host: Host) -> tuple[Pairs, list[float]]:
    """Return pairs in contexts that find a warm worker, and how many come back in a second."""
    pairs: Pairs = []
    rates = []
    for turn in range(WARM_ROUNDS - 1):
        await bed.until(lambda: _ready(host) == WARM)
        pairs.extend([await _pair(host, f"warm-{turn}-{n}") for n in range(WARM // 2)])
        await bed.until(lambda: _ready(host) == WARM)
        names = [f"taken-{turn}-{n}" for n in range(WARM // 2)]
        began, missing = time.perf_counter(), len(names)
        for name in names:
            bed.call(host, name, BODY)
        await bed.until(lambda: _ready(host) == WARM)
        rates.append(missing / (time.perf_counter() - began))
    return pairs, rates


def _ready(host: Host) -> int:
    """Return how many workers nobody has that could serve at once."""
    (plugin,) = host.plugins.values()
    assert isinstance(plugin.pool, PerContext)
    return sum(lane.ready and not lane.bindings for lane in plugin.pool.lanes)


async def _pair(host: Host, context: str) -> tuple[float, float]:
    first = await bed.call(host, context, BODY)
    return first * 1e6, await bed.call(host, context, BODY) * 1e6
