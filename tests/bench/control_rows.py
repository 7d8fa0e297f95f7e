"""The table of `make bench-control`: rates, restarts, and what we hold ourselves to."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Sequence

from tests.bench import goals, table
from tests.bench.arrivals import Result
from tests.bench.goals import Goal
from tests.bench.table import Spread

FLOOR, OURS = "a bare Deployment", "PluginSandbox"
COMPARED = 10.0
"""Arrivals a second at which ours is held against the floor."""
ROUNDS = 3
"""At that rate: the 99th percentile of one round hangs on two objects of its 200."""

FEW = 1200
"""Up to so many objects the limits for a thousand hold: the rates before may have made more."""


@dataclasses.dataclass
class Restart:
    """What a restart with so many objects took.

    Args:
        objects: How many there were.
        mib: Resident memory of the operator before it.
        seconds: From the start of the process until nothing is left to do.
        writes: What the restarted operator wrote meanwhile.

    """

    objects: int
    mib: float
    seconds: float
    writes: int


@dataclasses.dataclass
class Measured:
    """What came of one subject.

    Args:
        name: Of it.
        results: Of the rates that were asked for and of the search.
        cpu: Seconds of CPU of the operator for each object, of each result; none without one.
        last_write: Seconds from an object's making to the last of its children, at the rates up to
            10/s.
        restarts: With ever more objects.

    """

    name: str
    results: list[Result] = dataclasses.field(default_factory=list)
    cpu: list[float] = dataclasses.field(default_factory=list)
    last_write: float = 0.0
    restarts: list[Restart] = dataclasses.field(default_factory=list)


def markdown(measured: Sequence[Measured]) -> str:
    """Write all that was measured; goals only where the floor and ours were."""
    heads = ("what", "rate", "P50 ms", "P90 ms", "P99 ms", "held", "operator CPU ms each")
    parts = [table.markdown(heads, [row for each in measured for row in _rates(each)])]
    restarts = [row for each in measured for row in _restarts(each)]
    if restarts:
        columns = ("what", "objects", "operator MiB", "restart caught up in s", "writes of that")
        parts.append(table.markdown(columns, restarts))
    by_name = {each.name: each for each in measured}
    if FLOOR in by_name and OURS in by_name:
        parts.append(goals.markdown(_goals(by_name[FLOOR], by_name[OURS])))
    return "\n\n".join(parts)


def _rates(measured: Measured) -> list[tuple[str, ...]]:
    return [
        (
            measured.name,
            f"{each.rate:g}/s",
            *(f"{each.percentile(share) * 1000:.0f}" for share in (0.5, 0.9, 0.99)),
            "yes" if each.held else "no",
            "" if cpu is None else f"{cpu * 1000:.1f}",
        )
        for each, cpu in itertools.zip_longest(measured.results, measured.cpu)
    ]


def _restarts(measured: Measured) -> list[tuple[str, ...]]:
    return [
        (
            measured.name,
            f"{each.objects}",
            f"{each.mib:.0f}",
            f"{each.seconds:.1f}",
            f"{each.writes}",
        )
        for each in measured.restarts
    ]


def _goals(floor: Measured, ours: Measured) -> list[Goal]:
    found = [
        Goal(
            "highest rate held, of the floor's",
            0.45,
            _one(_highest(ours) / _highest(floor)),
            least=True,
        ),
        Goal(
            "from making to the last child's write, P50",
            30,
            _one(ours.last_write * 1000),
            unit=" ms",
        ),
    ]
    ratios = [one / other for one, other in zip(_p99(ours), _p99(floor), strict=True)]
    if ratios:
        costs = zip(ours.results, ours.cpu, strict=True)
        cpu = Spread.of([each * 1000 for result, each in costs if result.rate == COMPARED])
        found += [
            Goal(f"P99 at {COMPARED:g}/s, of the floor's", 2.2, Spread.of(ratios)),
            Goal(f"operator CPU each at {COMPARED:g}/s", 20, cpu, unit=" ms"),
        ]
    for each in ours.restarts:
        few = each.objects <= FEW
        limit = 6 if few else 30
        found += [
            Goal(f"restart with {each.objects}", limit, _one(each.seconds), unit=" s"),
            Goal(f"writes of a restart with {each.objects}", 0, _one(each.writes)),
        ]
        found += (
            [Goal(f"memory at {each.objects}", 150, _one(each.mib), unit=" MiB")] if few else []
        )
    return found


def _one(value: float) -> Spread:
    return Spread.of([value])


def _highest(measured: Measured) -> float:
    return max((each.rate for each in measured.results if each.held), default=float("nan"))


def _p99(measured: Measured) -> list[float]:
    """Return that of each round at the rate that is compared, the least first."""
    return sorted(each.percentile(0.99) for each in measured.results if each.rate == COMPARED)
