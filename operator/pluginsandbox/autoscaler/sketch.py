"""Draws decisions for a terminal: how many pods were wanted over time, and what was needed."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Sequence

WIDTH, HEIGHT = 72, 10
PODS, NEEDED, NOTHING = "█", "·", " "


@dataclasses.dataclass(frozen=True, slots=True)
class Step:
    """A decision.

    Args:
        time: Unix time in seconds.
        pods: Wanted from then on.
        needed: What the load asked for then; None where that was not known.

    """

    time: int
    pods: int
    needed: int | None


def draw(steps: Sequence[Step]) -> str:
    """Return the picture, at least one step, oldest first; its right edge is the last one."""
    first, last = steps[0].time, steps[-1].time
    columns = [_at(steps, first + (last - first) * n / (WIDTH - 1)) for n in range(WIDTH)]
    most = max(max(each.pods, each.needed or 0) for each in steps) or 1
    width = len(str(most))
    rows = []
    for row in range(HEIGHT, 0, -1):
        low, high = most * (row - 1) / HEIGHT, most * row / HEIGHT
        label = str(most) if row == HEIGHT else ""
        rows.append(f"{label:>{width}} |" + "".join(_cell(each, low, high) for each in columns))
    rows.append(f"{0:>{width}} +" + "-" * WIDTH)
    left, right = _moment(first), _moment(last)
    rows.append(" " * (width + 2) + left + right.rjust(WIDTH - len(left)))
    return "\n".join([*rows, f"{PODS} pods wanted   {NEEDED} more than that needed"])


def _at(steps: Sequence[Step], time: float) -> Step:
    return next((each for each in reversed(steps) if each.time <= time), steps[0])


def _cell(step: Step, low: float, high: float) -> str:
    if step.pods >= (low + high) / 2:
        return PODS
    return NEEDED if (step.needed or 0) > low else NOTHING


def _moment(time: int) -> str:
    return f"{dt.datetime.fromtimestamp(time, dt.UTC):%Y-%m-%dT%H:%M:%SZ}"
