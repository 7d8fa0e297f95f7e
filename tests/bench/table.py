"""Figures with their spread, and the page that shows them."""

from __future__ import annotations

import dataclasses
import os
import re
import statistics
import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

from tests.bed.shell import REPOSITORY

PAGE = REPOSITORY / "docs" / "benchmarks.md"
_began = time.monotonic()


@dataclasses.dataclass(frozen=True)
class Spread:
    """Several measurements of one thing."""

    values: tuple[float, ...]

    @classmethod
    def of(cls, values: Iterable[float]) -> Spread:
        """Take them as they come."""
        return cls(tuple(values))

    @property
    def median(self) -> float:
        """The figure to quote."""
        return statistics.median(self.values)

    def text(self, digits: int) -> str:
        """Write `median (min to max)`."""
        low, high = min(self.values), max(self.values)
        if len(self.values) == 1:
            return f"{self.median:.{digits}f}"
        return f"{self.median:.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"


def ratios(ours: Spread, theirs: Spread) -> Spread:
    """Divide pair by pair: neighbours in time saw the same machine."""
    return Spread(tuple(a / b for a, b in zip(ours.values, theirs.values, strict=True)))


def markdown(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Write a table."""
    lines = ["| " + " | ".join(row) + " |" for row in (heads, *rows)]
    lines.insert(1, "|" + "---|" * len(heads))
    return "\n".join(lines)


def progress(what: str) -> None:
    """Tell a waiting person what is being measured."""
    print(f"[{time.monotonic() - _began:4.0f} s] {what}", file=sys.stderr, flush=True)


def run_on(load: float) -> str:
    """Say when and on what was measured.

    Args:
        load: Average before it.

    """
    day, cores = time.strftime("%Y-%m-%d"), os.cpu_count()
    return f"Run {day} on {cores} cores; load average {load:.1f} before it (near 0 if quiet)."


def publish(name: str, body: str, page: Path = PAGE) -> None:
    """Put a table between its markers on a page, and print it.

    Raises:
        LookupError: The page has no such place.

    """
    begin, end = f"<!-- begin {name} -->", f"<!-- end {name} -->"
    text = page.read_text(encoding="utf-8")
    pattern = re.compile(f"{re.escape(begin)}.*?{re.escape(end)}", re.DOTALL)
    text, count = pattern.subn(lambda _: f"{begin}\n{body}\n{end}", text)
    if count != 1:
        raise LookupError(f"{page.name} must have one place between {begin} and {end}")
    page.write_text(text, encoding="utf-8")
    print(f"\n{body}\n")
