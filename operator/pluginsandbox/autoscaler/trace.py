"""A load trace: CSV lines `seconds,demand`, and optionally `readable`.

Demand is the number of calls in progress or waiting, all pods together. It holds from its second to
the next line's; the last line holds for one second.
"""

from __future__ import annotations

import bisect
import csv
import dataclasses
import math
from collections.abc import Sequence

COLUMNS = ("seconds", "demand")
OPTIONAL = "readable"
MOST_DEMAND = 1_000_000.0
MOST_SECONDS = 604_800.0
TRUTHS = {"yes": True, "no": False}


class TraceError(ValueError):
    """A trace cannot be used; the message names the line, the field and what it must be."""


@dataclasses.dataclass(frozen=True, slots=True)
class Trace:
    """A load over time.

    Args:
        starts: Seconds at which each step of it begins; the first is 0.
        demands: Calls in progress or waiting.
        readable: Whether the hosts can be read.

    """

    starts: Sequence[float]
    demands: Sequence[float]
    readable: Sequence[bool]

    @property
    def seconds(self) -> int:
        """How long it is."""
        return math.floor(self.starts[-1]) + 1

    def at(self, second: float) -> float:
        """Return the demand at a moment."""
        return self.demands[bisect.bisect_right(self.starts, second) - 1]

    def readable_at(self, second: float) -> bool:
        """Tell whether the hosts can be read at a moment."""
        return self.readable[bisect.bisect_right(self.starts, second) - 1]


def parse(text: str, origin: str) -> Trace:
    """Read a trace.

    Args:
        text: Lines; those that begin with `#` are comments.
        origin: Name of the text in messages.

    Raises:
        TraceError: A line is wrong, or there is none.

    """
    rows = csv.reader(text.splitlines(), skipinitialspace=True)
    starts: list[float] = []
    demands: list[float] = []
    readable: list[bool] = []
    width = 0
    for row in rows:
        place = f"{origin}: line {rows.line_num}"
        if not row or row[0].startswith("#"):
            continue
        if not width:
            width = _header(row, place)
            continue
        _fits(row, width, place)
        starts.append(_second(row[0], starts, place))
        demands.append(_number(row[1], "demand", MOST_DEMAND, place))
        readable.append(_truth(row[2], place) if width > len(COLUMNS) else True)
    if not starts:
        raise TraceError(f"{origin}: must hold the line 'seconds,demand' and lines such as '0,12'")
    return Trace(starts, demands, readable)


def _header(row: list[str], place: str) -> int:
    names = [name.strip().lower() for name in row]
    if names not in ([*COLUMNS], [*COLUMNS, OPTIONAL]):
        raise TraceError(
            f"{place}: the first line must be 'seconds,demand' or 'seconds,demand,readable', "
            f"not {','.join(row)!r}"
        )
    return len(names)


def _fits(row: list[str], width: int, place: str) -> None:
    if len(row) != width:
        raise TraceError(f"{place}: must have {width} fields, not {len(row)}: {','.join(row)!r}")


def _second(word: str, before: list[float], place: str) -> float:
    second = _number(word, "seconds", MOST_SECONDS, place)
    if not before and second:
        raise TraceError(f"{place}: seconds must begin with 0, not {word}")
    if before and second <= before[-1]:
        raise TraceError(f"{place}: seconds must grow: {word} comes after {before[-1]:g}")
    return second


def _number(word: str, field: str, most: float, place: str) -> float:
    try:
        value = float(word)
    except ValueError:
        raise TraceError(f"{place}: {field} must be a number, not {word!r}") from None
    if not 0 <= value <= most:
        raise TraceError(f"{place}: {field} must be from 0 to {most:.0f}, not {word}")
    return value


def _truth(word: str, place: str) -> bool:
    if word.strip() not in TRUTHS:
        raise TraceError(f"{place}: readable must be yes or no, not {word!r}")
    return TRUTHS[word.strip()]
