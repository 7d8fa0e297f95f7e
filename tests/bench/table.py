"""Figures with their spread, and the page that shows them."""

from __future__ import annotations

import dataclasses
import re
import statistics
from collections.abc import Sequence
from pathlib import Path

from tests.bed.shell import REPOSITORY

PAGE = REPOSITORY / "docs" / "benchmarks.md"


@dataclasses.dataclass(frozen=True)
class Spread:
    """Several measurements of one thing."""

    values: tuple[float, ...]

    @property
    def median(self) -> float:
        """The figure to quote."""
        return statistics.median(self.values)

    def text(self, digits: int) -> str:
        """Write `median (min to max)`."""
        low, high = min(self.values), max(self.values)
        return f"{self.median:.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"


def ratios(ours: Spread, theirs: Spread) -> Spread:
    """Divide pair by pair: neighbours in time saw the same machine."""
    return Spread(tuple(a / b for a, b in zip(ours.values, theirs.values, strict=True)))


def markdown(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Write a table."""
    lines = ["| " + " | ".join(row) + " |" for row in (heads, *rows)]
    lines.insert(1, "|" + "---|" * len(heads))
    return "\n".join(lines)


def publish(name: str, body: str, page: Path = PAGE) -> None:
    """Put a table between its markers on a page, and print it."""
    begin, end = f"<!-- begin {name} -->", f"<!-- end {name} -->"
    text = page.read_text(encoding="utf-8")
    pattern = re.compile(f"{re.escape(begin)}.*?{re.escape(end)}", re.DOTALL)
    page.write_text(pattern.sub(lambda _: f"{begin}\n{body}\n{end}", text), encoding="utf-8")
    print(f"\n{body}\n")
