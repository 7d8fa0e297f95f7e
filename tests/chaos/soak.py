"""`make soak MINUTES=n`: steady churn for n minutes, and what becomes of the operator's process.

Sandboxes come, are changed and go; their plugin changes under all of them now and then. Memory and
descriptors are read every few seconds. The slope is that of the line through the later two thirds:
before that the caches fill. At the end nothing changes any more, and the queue must empty.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import dataclasses
import random
import statistics
import sys
import tempfile
import time
from pathlib import Path

import aiohttp

from pluginsandbox.controller import kinds
from pluginsandbox.controller.errors import RetryError
from tests.bench.processes import resident_bytes
from tests.chaos.figures import say
from tests.chaos.incarnation import AsProcess
from tests.integration.operator.bed import Bed, eventually, place, sandbox, source
from tests.integration.operator.control_plane import control_plane, free_port

POPULATION = 30
"""Sandboxes at a time."""
EVERY_SECONDS = 1.0
"""One comes, one goes and one is changed each time."""
PLUGIN_EVERY = 60
SAMPLE_SECONDS = 5.0
SPARE_DESCRIPTORS = 16
"""Connections that come and go: more than so many above the first third's are a leak."""
EMPTY_SECONDS = 120.0
DEPTH = "pluginsandbox_queue_depth "


@dataclasses.dataclass(frozen=True)
class Sample:
    """What the process had at one moment.

    Args:
        hours: Since the start.
        mib: Resident.
        descriptors: Open.

    """

    hours: float
    mib: float
    descriptors: int


class Churn:
    """Has sandboxes come, change and go.

    Args:
        bed: Where.

    """

    def __init__(self, bed: Bed) -> None:
        self._bed = bed
        self._alive: list[str] = []
        self._rng = random.Random(1)  # noqa: S311 - the same churn each time
        self.changes = 0

    async def run(self, seconds: float) -> None:
        """Go on for so long."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            began = time.monotonic()
            with contextlib.suppress(RetryError):  # the API server is busy: the next turn comes
                await self._turn()
            await asyncio.sleep(max(0.0, EVERY_SECONDS - (time.monotonic() - began)))

    async def _turn(self) -> None:
        if self.changes % (3 * PLUGIN_EVERY) == 0:
            await self._bed.put(source(text=f"a = {self.changes}\n"))
        name = f"shop-{self.changes}"
        await self._bed.put(sandbox(name=name))
        self._alive.append(name)
        changed = self._rng.choice(self._alive)
        spec = {"contexts": {"idleTimeoutSeconds": self._rng.randint(60, 600)}}
        await self._bed.put(sandbox(name=changed, **spec, replicas=self._rng.randint(0, 2)))
        if len(self._alive) > POPULATION:
            await self._bed.drop(kinds.SANDBOX, self._alive.pop(0))
        self.changes += 3


async def watch(pid: int) -> list[Sample]:
    """Read what a process has until cancelled; the list is filled meanwhile."""
    samples: list[Sample] = []
    began = time.monotonic()
    with contextlib.suppress(asyncio.CancelledError):
        while True:
            samples.append(_sample(pid, (time.monotonic() - began) / 3600))
            if len(samples) % 12 == 0:
                say(samples[-1])
            await asyncio.sleep(SAMPLE_SECONDS)
    return samples


def _sample(pid: int, hours: float) -> Sample:
    descriptors = sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir())
    return Sample(hours, resident_bytes(pid) / (1 << 20), descriptors)


async def emptied(port: int) -> float:
    """Wait until the operator's queue is empty; return the seconds that it took."""
    began = time.monotonic()
    async with aiohttp.ClientSession() as session:

        async def empty() -> bool:
            async with session.get(f"http://127.0.0.1:{port}/metrics") as answer:
                lines = (await answer.text()).splitlines()
            return [float(line.split()[1]) for line in lines if line.startswith(DEPTH)] == [0.0]

        await eventually("an empty queue", empty, seconds=EMPTY_SECONDS)
    return time.monotonic() - began


async def soak(bed: Bed, kubeconfig: Path, minutes: float) -> bool:
    """Churn for so long; print what came of it, return whether nothing grew."""
    port = free_port()
    operator, churn = AsProcess(kubeconfig, bed.namespace, bed.settings, port), Churn(bed)
    await operator.start()
    try:
        watching = asyncio.create_task(watch(operator.pid))
        await churn.run(minutes * 60)
        watching.cancel()
        samples = await watching
        seconds = await emptied(port)
    finally:
        operator.kill()
        await operator.end()
    first, later = samples[: len(samples) // 3], samples[len(samples) // 3 :]
    slope = statistics.linear_regression([x.hours for x in later], [x.mib for x in later]).slope
    most = [max(each.descriptors for each in part) for part in (first, later)]
    print(
        f"minutes={minutes:.0f} changes={churn.changes} "
        f"memory={later[0].mib:.1f}..{later[-1].mib:.1f}MiB slope={slope:+.1f}MiB/h "
        f"descriptors={most[0]}..{most[1]} queue=0 after {seconds:.1f}s",
        flush=True,
    )
    return most[1] <= most[0] + SPARE_DESCRIPTORS


async def run(folder: Path, minutes: float) -> bool:
    """Soak an operator on a control plane of its own."""
    with control_plane(folder) as plane:
        async with place(plane.kubeconfig, "soak") as bed:
            return await soak(bed, plane.kubeconfig, minutes)


def main() -> int:
    """Read the command line; return the exit status."""
    parser = argparse.ArgumentParser(prog="make soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=30)
    minutes = parser.parse_args().minutes
    with tempfile.TemporaryDirectory(prefix="soak-") as folder:
        return 0 if asyncio.run(run(Path(folder), minutes)) else 1


if __name__ == "__main__":
    sys.exit(main())
