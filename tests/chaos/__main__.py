"""`make chaos KILLS=n`: kill the operator n times, and say in one line what came of it."""

from __future__ import annotations

import argparse
import asyncio
import dataclasses
import logging
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import structlog

from tests.chaos.flows import FLOWS, SEVERAL, SHORT, Flow
from tests.chaos.incarnation import AsProcess, InThread
from tests.chaos.kills import Lane, Life, Moment, Point, Tally
from tests.chaos.upstream import Upstream
from tests.integration.operator.bed import place
from tests.integration.operator.control_plane import control_plane

_AGAIN = 0.5
"""How often the successor is killed, too."""
_EARLY = 4
"""Its first writes are where it is killed."""
_NAMED = 20
"""Points that were missed and are named; where there are more, their number says enough."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Plan:
    """What to do.

    Args:
        flows: Of each lap.
        kills: So many at least; 0 = until each point of the flows was tried.
        processes: Whether operators are processes and die by SIGKILL.
        lanes: Operators at a time.

    """

    flows: Sequence[Flow] = FLOWS
    kills: int = 0
    processes: bool = False
    lanes: int = 2


def deaths(lane: Lane, tally: Tally, rng: random.Random) -> Callable[[Flow], Sequence[Point]]:
    """Return where the operator dies in a flow of a lap: where it was tried least, then anywhere.

    A point that is never reached (the statuses of a roll-out are now two and now three) is tried
    like the others, and told at the end.
    """

    def choose(flow: Flow) -> Sequence[Point]:
        points = lane.points(flow) or [Point("", 1, "before")]
        chosen = [min(points, key=lambda each: tally.tried[each.of(flow.name)])]
        tally.tried[chosen[0].of(flow.name)] += 1
        if rng.random() < _AGAIN:
            moment: Moment = rng.choice(("before", "after"))
            chosen.append(Point("", rng.randint(1, _EARLY), moment))
        return chosen

    return choose


async def run_lane(
    kubeconfig: Path, upstream: Upstream, life: Life, tally: Tally, plan: Plan
) -> None:
    """Kill the operators of one namespace until there were enough kills."""
    async with (
        place(kubeconfig, "chaos") as bed,
        Lane(bed, upstream, life, tally).open() as lane,
    ):
        rng = random.Random(bed.namespace)  # noqa: S311 - a seed that the messages name
        await lane.undisturbed(plan.flows)
        _say(f"{bed.namespace}: undisturbed, {len(tally.known)} points are known")
        while tally.kills < plan.kills or (not plan.kills and tally.known - tally.tried.keys()):
            began = time.monotonic()
            told = len(tally.wrong)
            await lane.lap(plan.flows, deaths(lane, tally, rng))
            for each in tally.wrong[told:]:
                if each.startswith(bed.namespace):  # the other lanes tell their own
                    _say(each)
            _say(f"{bed.namespace}: {tally.line}, {time.monotonic() - began:.0f} s for a lap")


async def run(folder: Path, plans: Sequence[Plan]) -> bool:
    """Run all; return whether nothing is wrong."""
    clean = True
    with control_plane(folder) as plane:
        async with Upstream(plane.kubeconfig, folder).open() as upstream:
            for plan in plans:
                tally, life = Tally(), AsProcess if plan.processes else InThread
                work = (
                    run_lane(plane.kubeconfig, upstream, life, tally, plan)
                    for _ in range(plan.lanes)
                )
                await asyncio.gather(*work)
                _tell("SIGKILL" if plan.processes else "new loop", tally)
                clean = clean and not tally.wrong
    return clean


def _tell(name: str, tally: Tally) -> None:
    missed = sorted(tally.known - tally.points.keys())
    for each in missed if len(missed) <= _NAMED else ():
        _say(f"never died at {each}")
    flows = {point.partition(":")[0] for point in tally.points}
    spread = statistics.quantiles(tally.seconds, n=100) if len(tally.seconds) > 1 else [0.0] * 99
    _say(
        f"{name}: {len(tally.points)} of {len(tally.known)} write points of {len(flows)} flows, "
        f"{tally.statuses} statuses held against the cluster, from restart to the end state "
        f"P50 {spread[49]:.1f} s, P99 {spread[98]:.1f} s"
    )
    print(tally.line, flush=True)


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def main() -> int:
    """Read the command line; return the exit status."""
    parser = argparse.ArgumentParser(prog="make chaos")
    parser.add_argument("--kills", type=int, default=1000, help="of operators with a new loop")
    parser.add_argument("--processes", type=int, default=60, help="of operators as processes")
    parser.add_argument("--several", action="store_true", help="only flows of several pods")
    parser.add_argument("--short", action="store_true", help="each write of the first flows, once")
    given = parser.parse_args()
    flows = SEVERAL if given.several else FLOWS
    plans = [
        Plan(flows=flows, kills=number, processes=processes)
        for number, processes in ((given.processes, True), (given.kills, False))
        if number
    ]
    short = [Plan(flows=SHORT, lanes=1)]
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    logging.disable(logging.CRITICAL)
    with tempfile.TemporaryDirectory(prefix="chaos-") as folder:
        clean = asyncio.run(run(Path(folder), short if given.short else plans))
    return 0 if clean else 1


if __name__ == "__main__":
    sys.exit(main())
