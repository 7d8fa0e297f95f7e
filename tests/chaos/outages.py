"""`make outages COUNT=n`: how soon all is as asked for once the API server is back.

The operator has an API server of its own on the cluster's etcd. In turn that server is killed, the
operator is cut off from it, and etcd is killed under both. What sandboxes should be changes while
the operator cannot see it (with etcd gone: as soon as it takes a change again), and the time runs
from the moment at which the operator could see it until every sandbox is rolled out as it was asked
for last. The pods' kubelet and the controllers use the other API server.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import dataclasses
import random
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path

from tests.chaos.figures import Times, say
from tests.chaos.incarnation import AsProcess
from tests.chaos.proxy import Proxy
from tests.chaos.rules import Rule
from tests.chaos.twin import TWIN, TwinPlane, twin_plane
from tests.chaos.upstream import Upstream
from tests.chaos.wishes import Wishes
from tests.integration.operator.bed import Bed, eventually, place
from tests.integration.operator.control_plane import API

GOAL_SECONDS = 10.0
PATIENCE_SECONDS = 60.0
SHORT, LONG, LONG_EVERY = (0.5, 6.0), 20.0, 10
"""Seconds of an outage; every tenth is longer than the operator keeps its Lease without renewal."""


@dataclasses.dataclass(frozen=True)
class Fault:
    """Something that keeps the operator from the API.

    Args:
        what: For people.
        act: Brings it about and mends it.
        unseen: Whether others can change something meanwhile.

    """

    what: str
    act: Callable[[], AbstractAsyncContextManager[None]]
    unseen: bool = True


def killed(plane: TwinPlane, name: str, *, unseen: bool) -> Fault:
    """Return the fault that kills a process of the control plane, and starts it again."""

    @contextlib.asynccontextmanager
    async def act() -> AsyncIterator[None]:
        plane.kill(name)
        try:
            yield
        finally:
            plane.spawn(name)
            for each in (API, TWIN):
                await asyncio.to_thread(plane.wait_ready, each)

    return Fault(f"{name.partition('@')[0]} killed", act, unseen)


def cut_off(proxy: Proxy) -> Fault:
    """Return the fault that breaks every connection of the operator, new ones too."""

    @contextlib.asynccontextmanager
    async def act() -> AsyncIterator[None]:
        proxy.script.add(Rule(act="reset before", times=None))
        proxy.break_connections()
        try:
            yield
        finally:
            proxy.script.clear()

    return Fault("operator cut off", act)


async def measure(bed: Bed, kubeconfig: Path, fault: Fault, count: int) -> Times:
    """Bring a fault about so often, under an operator that is a process."""
    operator, wishes = AsProcess(kubeconfig, bed.namespace, bed.settings), Wishes(bed)
    rng, seconds = random.Random(fault.what), []  # noqa: S311 - the same outages each time
    await operator.start()
    try:
        await wishes.change(0)
        await eventually("all at work", wishes.met, seconds=PATIENCE_SECONDS, every=0.2)
        for number in range(1, count + 1):
            away = LONG if number % LONG_EVERY == 0 else rng.uniform(*SHORT)
            seconds.append(await _lap(wishes, fault, number, away))
            say(f"{fault.what} for {away:.1f} s: {seconds[-1]:.2f} s")
    finally:
        operator.kill()
        await operator.end()
    return Times(f"{fault.what}, back to converged", seconds)


async def _lap(wishes: Wishes, fault: Fault, number: int, away: float) -> float:
    async with fault.act():
        await asyncio.sleep(away / 2)
        if fault.unseen:
            await wishes.change(number)
        await asyncio.sleep(away / 2)
    back = time.monotonic()
    if not fault.unseen:
        await wishes.change(number)
    try:
        await eventually("all as asked", wishes.met, seconds=PATIENCE_SECONDS, every=0.1)
    except TimeoutError:
        return float("inf")
    return time.monotonic() - back


async def run(folder: Path, count: int) -> bool:
    """Measure each fault; return whether the goal is held."""
    every: list[float] = []
    with twin_plane(folder) as plane:
        async with (
            Upstream(plane.kubeconfig, folder).open() as upstream,
            Proxy(upstream).run() as proxy,
        ):
            faults = (
                (killed(plane, TWIN, unseen=True), plane.operators),
                (cut_off(proxy), proxy.kubeconfig),
                (killed(plane, "etcd", unseen=False), plane.operators),
            )
            for number, (fault, kubeconfig) in enumerate(faults):
                share = (count + number) // len(faults)
                async with place(plane.kubeconfig, "outage") as bed:
                    times = await measure(bed, kubeconfig, fault, share)
                print(times, flush=True)
                every += times.seconds
    times = Times("API back to converged", every)
    print(f"{times} goal=P99<={GOAL_SECONDS:.0f}s", flush=True)
    return times.percentile(0.99) <= GOAL_SECONDS


def main() -> int:
    """Read the command line; return the exit status."""
    parser = argparse.ArgumentParser(prog="make outages", description=__doc__)
    parser.add_argument("--count", type=int, default=100, help="outages, a third of each kind")
    count = parser.parse_args().count
    with tempfile.TemporaryDirectory(prefix="outages-") as folder:
        return 0 if asyncio.run(run(Path(folder), count)) else 1


if __name__ == "__main__":
    sys.exit(main())
