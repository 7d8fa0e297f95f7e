"""What we hold ourselves to, beside what was measured."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from tests.bench import table
from tests.bench.table import Spread


@dataclasses.dataclass(frozen=True)
class Goal:
    """One promise."""

    what: str
    limit: float
    measured: Spread
    least: bool = False
    """Whether the limit is the least rather than the most."""
    unit: str = ""

    @property
    def held(self) -> bool:
        """Whether the median keeps it."""
        median = self.measured.median
        return median >= self.limit if self.least else median <= self.limit


def markdown(goals: Sequence[Goal]) -> str:
    """Write a table of goals; the digits follow the limit's."""
    rows = [
        (
            goal.what,
            f"{'at least' if goal.least else 'at most'} {goal.limit:g}{goal.unit}",
            goal.measured.text(_digits(goal.limit)) + goal.unit,
            "held" if goal.held else "**missed**",
        )
        for goal in goals
    ]
    return table.markdown(("goal", "limit", "measured", ""), rows)


def margins(goals: Sequence[Goal]) -> list[tuple[str, Spread]]:
    """Return how many times over each goal is held: below 1 it is missed."""
    return [
        (
            goal.what,
            Spread.of(
                value / goal.limit if goal.least else goal.limit / value
                for value in goal.measured.values
            ),
        )
        for goal in goals
    ]


def _digits(limit: float) -> int:
    if limit < 1:
        return 3
    return 0 if limit >= 100 else 2
