"""Bars with their spread, as an SVG that reads on a light and on a dark page."""

from __future__ import annotations

import html
import math
from collections.abc import Iterator, Sequence

from tests.bed.shell import REPOSITORY
from tests.bench.table import Spread

FOLDER = REPOSITORY / "docs" / "benchmarks"
WIDTH = 920
NAMES = 360
"""Where the bars begin."""
BARS = 440
"""How long the longest is."""
ROW = 30
TOP = 52

STYLE = """
  text { font: 13px system-ui, -apple-system, "Segoe UI", sans-serif; fill: #24292f; }
  .title { font-size: 15px; font-weight: 600; }
  .theirs { fill: #9aa4b2; } .ours { fill: #0f766e; } .name-ours { font-weight: 600; }
  .spread { stroke: #24292f; stroke-width: 1.2; } .axis { stroke: #d0d7de; }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3; } .theirs { fill: #6e7681; } .ours { fill: #2dd4bf; }
    .spread { stroke: #e6edf3; } .axis { stroke: #30363d; }
  }
"""

Rows = Sequence[tuple[str, Spread]]


def bars(name: str, title: str, rows: Rows, *, ours: str = "", logarithmic: bool = False) -> None:
    """Draw one bar for each row: its length is the median, its whisker the spread.

    Args:
        name: Of the file, without its ending.
        title: What the lengths are, with their unit.
        rows: What is compared.
        ours: Rows whose name begins so are drawn in another colour.
        logarithmic: Whether each tenfold is of one length.

    """
    FOLDER.mkdir(exist_ok=True)
    path = FOLDER / f"{name}.svg"
    path.write_text(svg(title, rows, ours=ours, logarithmic=logarithmic), encoding="utf-8")


def svg(title: str, rows: Rows, *, ours: str, logarithmic: bool) -> str:
    """Return the picture."""
    rows = [(label, spread) for label, spread in rows if spread.values]
    scale = _Scale([value for _, spread in rows for value in spread.values], logarithmic)
    height = TOP + ROW * len(rows) + 16
    body = "\n".join(
        line
        for index, (label, spread) in enumerate(rows)
        for line in _row(TOP + ROW * index, label, spread, scale, bool(ours) and ours in label)
    )
    note = " (logarithmic)" if logarithmic else ""
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" '
        f'height="{height}" role="img" aria-label="{html.escape(title)}">\n'
        f"<style>{STYLE}</style>\n"
        f'<text class="title" x="16" y="26">{html.escape(title)}{note}</text>\n'
        f'<line class="axis" x1="{NAMES}" x2="{NAMES}" y1="{TOP - 8}" y2="{height - 10}"/>\n'
        f"{body}\n</svg>\n"
    )


class _Scale:
    """Where a value ends on the page.

    Args:
        values: All that are drawn.
        logarithmic: Whether each tenfold is of one length.

    """

    def __init__(self, values: Sequence[float], logarithmic: bool) -> None:  # noqa: FBT001
        self._log = logarithmic
        self._most = max(values, default=1.0) or 1.0
        # One tenth of the least: the shortest bar is still one to be seen.
        self._least = max(min((v for v in values if v > 0), default=self._most) / 3, 1e-12)

    def __call__(self, value: float) -> float:
        if not self._log:
            return NAMES + BARS * value / self._most
        if value <= self._least:
            return NAMES
        share = math.log(value / self._least) / math.log(self._most / self._least)
        return NAMES + BARS * share


def _row(top: int, label: str, spread: Spread, scale: _Scale, ours: bool) -> Iterator[str]:  # noqa: FBT001
    end, middle = scale(spread.median), top + 10
    low, high = scale(min(spread.values)), scale(max(spread.values))
    kind = "ours" if ours else "theirs"
    yield (
        f'<text class="name-{kind}" x="{NAMES - 10}" y="{top + 15}" text-anchor="end">'
        f"{html.escape(label)}</text>"
    )
    yield (
        f'<rect class="{kind}" x="{NAMES}" y="{top}" width="{max(end - NAMES, 1):.1f}" '
        'height="20" rx="2"/>'
    )
    if high > low:
        yield (
            f'<path class="spread" fill="none" d="M{low:.1f} {middle}H{high:.1f}'
            f'M{low:.1f} {middle - 4}v8M{high:.1f} {middle - 4}v8"/>'
        )
    yield f'<text x="{max(end, high) + 8:.1f}" y="{top + 15}">{_number(spread.median)}</text>'


def _number(value: float) -> str:
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"
