"""`make bench-scalers`: many sandboxes scaled by one operator, on KWOK's pods.

All pods answer at one address, as a real HTTP server does, and tell of the same load: so all of
them take their steps in the same second, which is the worst that can be.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import dataclasses
import math
import os
import time
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

from aiohttp import web

from pluginsandbox.controller import kinds
from pluginsandbox.controller.children.common import ADMIN_PORT
from tests.bed.shell import REPOSITORY
from tests.bench import control, operators, subject, table
from tests.bench.kwok import HOSTS
from tests.bench.operators import Running

NUMBER, SECONDS, TURNS = 200, 60, 3
TURN_SECONDS = 20
SETTLE_SECONDS = 10
CALM, BUSY = 500, 2000
"""Thousandths of calls in each pod: of the first one pod does, of the second two."""
LAG = "pluginsandbox_scale_decision_lag_seconds"
SHARE = 0.99
PAGE = REPOSITORY / "docs" / "autoscaling.md"


class Stubs:
    """All hosts: what they tell, and how often they were asked in each second."""

    def __init__(self, plugins: list[str]) -> None:
        self.calls = CALM
        self.asked: Counter[int] = Counter()
        self._told = {
            "plugins": [{"name": name, "state": "Loaded"} for name in plugins],
            "confinement": {"holds": True, "landlockAbi": 7},
        }

    async def answer(self, _: web.Request) -> web.Response:
        """Answer as a host does, with one sample of the second that is over."""
        now = int(time.time())
        self.asked[now] += 1
        counts = dict.fromkeys(("queued", "requests", "refused", "contexts"), 0)
        sample = {"time": now, "concurrency": self.calls, **counts}
        return web.json_response(self._told | {"samples": [sample]})

    @contextlib.asynccontextmanager
    async def serve(self) -> AsyncIterator[None]:
        """Answer until the block ends."""
        application = web.Application()
        application.router.add_get("/stats", self.answer)
        runner = web.AppRunner(application, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, HOSTS, ADMIN_PORT, backlog=4096).start()
        try:
            yield
        finally:
            await runner.cleanup()


@dataclasses.dataclass(frozen=True)
class Span:
    """What the operator took in a while."""

    cores: float
    missed: int
    """Seconds in which not every host was asked."""
    seconds: int


async def run(number: int) -> None:
    """Measure at rest, then with all of them going up and down at once; publish it."""
    load_before = os.getloadavg()[0]
    told = subject.read(subject.FOLDER / "scaled.yaml")
    stubs = Stubs(told.plugins)
    async with (
        control.installed(told) as (plane, load),
        stubs.serve(),
        operators.running(told, plane) as operator,
    ):
        await operator.caught_up()
        await load.fill(number)
        await asyncio.sleep(SETTLE_SECONDS)
        table.progress(f"{number} sandboxes")
        calm = await _span(operator, stubs, SECONDS, number)
        busy = await _turns(operator, stubs, number)
        metrics = await operator.metrics()
        steps = int(metrics[f"{LAG}_count"])
        written = len([each for each in operators.writes(plane.audit_log) if _is_step(each)])
        rows = [
            ("sandboxes", f"{number}"),
            ("share of one core, nothing to decide", f"{calm.cores:.2f}"),
            ("share of one core, all up or down every 20 s", f"{busy.cores:.2f}"),
            ("seconds in which a host was not asked, at rest", f"{calm.missed} of {calm.seconds}"),
            ("the same, all up or down", f"{busy.missed} of {busy.seconds}"),
            ("steps decided", f"{steps}, {written} writes of Deployments in all"),
            ("lag of a decision, mean", f"{metrics[f'{LAG}_sum'] / steps:.2f} s"),
            ("lag of a decision, P99", f"at most {_percentile(metrics, steps):g} s"),
            ("resident MiB", f"{operator.mib:.0f}"),
        ]
    shown = table.markdown(("what", "figure"), rows)
    table.publish("scalers", f"{shown}\n\n{table.run_on(load_before)}", PAGE)


async def _turns(operator: Running, stubs: Stubs, number: int) -> Span:
    """Let all go up, then down, a few times."""
    spans = []
    for turn in range(2 * TURNS):
        stubs.calls = BUSY if turn % 2 == 0 else 0
        spans.append(await _span(operator, stubs, TURN_SECONDS, number))
        table.progress(f"{'up' if turn % 2 == 0 else 'down'}: {spans[-1].cores:.2f} cores")
    cores = sum(each.cores for each in spans) / len(spans)
    return Span(cores, sum(each.missed for each in spans), sum(each.seconds for each in spans))


async def _span(operator: Running, stubs: Stubs, seconds: int, number: int) -> Span:
    cpu, began = operator.cpu_seconds, time.time()
    await asyncio.sleep(seconds)
    passed = time.time() - began
    whole = range(math.ceil(began), int(began + passed))
    missed = sum(stubs.asked[second] < number for second in whole)
    return Span((operator.cpu_seconds - cpu) / passed, missed, len(whole))


def _percentile(metrics: dict[str, float], count: int) -> float:
    """Return the least bound of the histogram within which so many are."""
    bounds = (
        (float(name.partition('le="')[2].partition('"')[0]), value)
        for name, value in metrics.items()
        if name.startswith(f"{LAG}_bucket")
    )
    return min(bound for bound, within in bounds if within >= SHARE * count)


def _is_step(write: dict[str, Any]) -> bool:
    return bool((write.get("objectRef") or {}).get("resource") == kinds.DEPLOYMENT.plural)


def main() -> None:
    """Read the options and run."""
    parser = argparse.ArgumentParser(prog="make bench-scalers", description=__doc__)
    parser.add_argument("--number", type=int, default=NUMBER, help="of sandboxes")
    asyncio.run(run(parser.parse_args().number))


if __name__ == "__main__":
    main()
