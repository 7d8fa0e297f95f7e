"""Writes the load traces: `python -m tests.bench.traces`. The same seed gives the same bytes.

Each has a shape (calls in progress or waiting, by the second); where it says so, calls come and go
by chance around that shape, as callers that know nothing of one another do.
"""

from __future__ import annotations

import argparse
import dataclasses
import functools
import math
import random
import sys
from collections.abc import Callable

from pluginsandbox.api.generated import main as write
from tests.bed.shell import REPOSITORY

FOLDER = REPOSITORY / "manifests" / "samples" / "traces"
CALL_SECONDS = 2.0
"""How long a call stays, where calls come and go by chance."""


@dataclasses.dataclass(frozen=True)
class Shape:
    """One trace.

    Args:
        about: What it is, for its first line.
        seconds: How long it is.
        calls: Calls at a second.
        seed: Of chance; None: exactly the shape.
        unread: Whether the hosts cannot be read in a second.

    """

    about: str
    seconds: int
    calls: Callable[[int], float]
    seed: int | None = None
    unread: Callable[[int], bool] | None = None


def _step(second: int) -> float:
    return 86 if 120 <= second < 360 else 12


def _ramp(second: int) -> float:
    up, down = (second - 60) / 300, (780 - second) / 300
    return 10 + 90 * max(0.0, min(1.0, up, down))


def _daily(second: int) -> float:
    return 32 - 27 * math.cos(2 * math.pi * second / 1200)


def _flash_sale(second: int) -> float:
    sales = [second - begin for begin in (180, 600) if second >= begin]
    return 8 + sum(112 * min(1.0, (since + 1) / 5) * math.exp(-since / 90) for since in sales)


def _sawtooth(second: int) -> float:
    return 10 + 50 * (second % 90) / 90


def _slow_starter(second: int) -> float:
    return 10 + 30 * (second >= 120) + 30 * (second >= 240) - 50 * (second >= 480)


def _metric_gap(second: int) -> float:
    return 20 + 40 * (second >= 140) - 40 * (second >= 400)


def _gap(second: int) -> bool:
    return 120 <= second < 165 or 390 <= second < 420


def _low(_: int) -> float:
    return 2.5


SHAPES = {
    "step": Shape("12 calls, 86 for four minutes, 12 again", 600, _step),
    "ramp": Shape("10 to 100 calls in five minutes, and back", 900, _ramp, seed=1),
    "daily": Shape("three days of 20 minutes each, 5 to 59 calls", 3600, _daily, seed=2),
    "flash-sale": Shape(
        "two sales: 120 calls within 5 s, then less and less", 1200, _flash_sale, 3
    ),
    "sawtooth": Shape("10 to 60 calls in 90 s, then 10 at once; ten times", 900, _sawtooth, seed=4),
    "slow-starter": Shape("10, 40, 70, 20 calls; pods start in 30 s", 720, _slow_starter),
    "metric-gap": Shape(
        "20, 60, 20 calls; no host can be read as it turns", 600, _metric_gap, None, _gap
    ),
    "noisy-low": Shape("2.5 calls on average, by chance", 900, _low, seed=5),
}


def _bursts(second: int) -> float:
    turns, _ = _chances(101)
    at = next(begin for begin in reversed(turns) if begin <= second)
    return 6 + 42 * (10 <= second - at < 30)


def _walk(second: int) -> float:
    return _chances(102)[1][second]


def _morning(second: int) -> float:
    first, then = (1 / (1 + math.exp((begin - second) / 12)) for begin in (300, 900))
    return (4 + 86 * first - 0.06 * max(0, second - 360) + 60 * then) * (second < 1200) + 4


@functools.cache
def _chances(seed: int) -> tuple[list[int], list[float]]:
    """Return when bursts are due, and a level that wanders."""
    source = random.Random(seed)  # noqa: S311  not a secret
    turns, level = [0], [40.0]
    while len(level) < HELD_OUT_SECONDS:
        level.append(min(90.0, max(5.0, level[-1] + 3 * (source.random() - 0.5))))
        if len(level) - turns[-1] > 60 + 60 * source.random():
            turns.append(len(level))
    return turns, level


HELD_OUT_SECONDS = 1500
# Made after the autoscaler was done, to see how it does with loads that it was not made with.
HELD_OUT = {
    "held-out-bursts": Shape("6 calls, and 48 for 20 s every minute or two", 1500, _bursts, 103),
    "held-out-walk": Shape("a level that wanders from 40 calls", 1500, _walk, 104),
    "held-out-morning": Shape("two rises by a curve, and an end at once", 1500, _morning, 105),
}


def text(name: str, shape: Shape) -> str:
    """Return the trace as CSV; seconds that are as the one before have no line."""
    chance = None if shape.seed is None else _Calls(random.Random(shape.seed))  # noqa: S311  not a secret
    columns = "seconds,demand,readable" if shape.unread else "seconds,demand"
    lines = [f"# {name}: {shape.about}. Written by `make generate`.", columns]
    before = ""
    for second in range(shape.seconds):
        calls = shape.calls(second)
        value = f"{round(calls, 2):g}" if chance is None else str(chance.second(calls))
        if shape.unread:
            value += ",no" if shape.unread(second) else ",yes"
        if value != before or second == shape.seconds - 1:
            lines.append(f"{second},{value}")
        before = value
    return "\n".join([*lines, ""])


class _Calls:
    """Calls that come by chance and stay for an exponential time."""

    def __init__(self, source: random.Random) -> None:
        self._source = source
        self._there: int | None = None

    def second(self, mean: float) -> int:
        """Return how many are there a second later, if so many are on average."""
        if self._there is None:
            self._there = round(mean)
        gone = 1 - math.exp(-1 / CALL_SECONDS)
        stayed = sum(self._source.random() >= gone for _ in range(self._there))
        self._there = stayed + self._poisson(mean * gone)
        return self._there

    def _poisson(self, mean: float) -> int:
        limit, number, product = math.exp(-mean), 0, self._source.random()
        while product > limit:
            number += 1
            product *= self._source.random()
        return number


def main() -> int:
    """Write all traces, or with --check compare them."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.traces", description=__doc__)
    parser.add_argument("--check", action="store_true", help="compare only; fail on drift")
    words = ["--check"] if parser.parse_args().check else []
    module = "tests.bench.traces"
    return max(
        write(module, FOLDER / f"{name}.csv", text(name, shape), words)
        for name, shape in (SHAPES | HELD_OUT).items()
    )


if __name__ == "__main__":
    sys.exit(main())
