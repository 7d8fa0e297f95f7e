"""`make handover COUNT=n`: how soon the other of two operators writes once the leader ends.

Both are processes. In each round the leader is told to end, or is killed; the time runs from that
moment to the first write of the other that the API server gets. The other then leads, and a new one
waits beside it.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import signal
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path

from pluginsandbox.controller import kinds
from pluginsandbox.controller.lease import DURATION_SECONDS
from tests.chaos.figures import Times, say
from tests.chaos.incarnation import AsProcess
from tests.chaos.provoke import provoked
from tests.chaos.proxy import Proxy
from tests.chaos.record import Call
from tests.chaos.upstream import Upstream
from tests.integration.operator.bed import Bed, eventually, place, sandbox, source
from tests.integration.operator.control_plane import control_plane

GOALS = {signal.SIGTERM: 2.0, signal.SIGKILL: DURATION_SECONDS}
"""Seconds from the signal to the other's first write."""
PATIENCE_SECONDS = 60.0


class Candidate:
    """One operator, and the record of what it asks the API server.

    Args:
        bed: Its namespace.
        proxy: Before it.

    """

    def __init__(self, bed: Bed, proxy: Proxy) -> None:
        self._proxy = proxy
        self._process = AsProcess(proxy.kubeconfig, bed.namespace, bed.settings)

    async def start(self) -> None:
        """Start it, and wait until it watches everything and has looked at the Lease."""
        await self._process.start()
        await eventually("a candidate", self._ready, seconds=PATIENCE_SECONDS)

    async def end(self, number: signal.Signals) -> float:
        """Send it a signal; return when, in monotonic seconds."""
        now = time.monotonic()
        self._process.signal(number)
        await self._process.end()
        return now

    async def wrote_after(self, moment: float) -> float:
        """Wait for the first write after a moment; return when it came, in monotonic seconds."""

        async def wrote() -> list[Call]:
            return [each for each in self._proxy.record.writes() if each.at > moment]

        first = (await eventually("a write", wrote, seconds=PATIENCE_SECONDS))[0]
        return float(first.at)

    async def _ready(self) -> bool:
        asked = {(each.verb, each.kind) for each in self._proxy.record}
        watched = {("watch", kind.plural) for kind, _ in kinds.WATCHED}
        return asked >= watched | {("get", "leases")}


@contextlib.asynccontextmanager
async def candidate(bed: Bed, upstream: Upstream) -> AsyncIterator[Candidate]:
    """Run an operator; it is killed at the end of the block, if it still lives."""
    async with Proxy(upstream).run() as proxy:
        made = Candidate(bed, proxy)
        await made.start()
        try:
            yield made
        finally:
            await made.end(signal.SIGKILL)


async def rounds(bed: Bed, upstream: Upstream, number: signal.Signals, count: int) -> Times:
    """Hand the lead over so often."""
    seconds = []
    async with contextlib.AsyncExitStack() as stack:
        leader = await stack.enter_async_context(candidate(bed, upstream))
        await bed.put(source())
        await bed.put(sandbox())
        await bed.until("Ready", "True", seconds=PATIENCE_SECONDS)
        await stack.enter_async_context(provoked(bed))
        for _ in range(count):
            other = await stack.enter_async_context(candidate(bed, upstream))
            ended = await leader.end(number)
            seconds.append(await other.wrote_after(ended) - ended)
            say(f"{number.name}: {seconds[-1]:.2f} s")
            leader = other
    return Times(f"{number.name} to the other's first write", seconds)


async def run(folder: Path, count: int) -> bool:
    """Measure both; return whether each round was as soon as it should be."""
    held = True
    with control_plane(folder) as plane:
        async with Upstream(plane.kubeconfig, folder).open() as upstream:
            for number, goal in GOALS.items():
                async with place(plane.kubeconfig, "handover") as bed:
                    times = await rounds(bed, upstream, number, count)
                print(f"{times} goal={goal:.0f}s", flush=True)
                held = held and times.most <= goal
    return held


def main() -> int:
    """Read the command line; return the exit status."""
    parser = argparse.ArgumentParser(prog="make handover", description=__doc__)
    parser.add_argument("--count", type=int, default=10, help="rounds of each kind")
    count = parser.parse_args().count
    with tempfile.TemporaryDirectory(prefix="handover-") as folder:
        return 0 if asyncio.run(run(Path(folder), count)) else 1


if __name__ == "__main__":
    sys.exit(main())
