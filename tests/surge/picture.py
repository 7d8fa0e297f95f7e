"""Draws a surge: pods wanted and ready, calls that wait, and how long the slowest had waited."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence

WIDTH, HEIGHT, MARGIN = 760, 230, 48
_FRAME = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
    'font-family="sans-serif" font-size="12">\n'
    '<rect width="100%" height="100%" fill="#ffffff"/>\n{body}\n</svg>\n'
)


@dataclasses.dataclass(frozen=True)
class Point:
    """A moment."""

    second: float
    """Since the load rose."""
    wanted: int
    ready: int
    waiting: int
    """Calls."""
    waited: float
    """Seconds that 99 of 100 of the calls answered just then had waited at most."""


Line = tuple[str, str, Callable[[Point], float]]
PANELS: tuple[tuple[str, tuple[Line, ...]], ...] = (
    (
        "pods, calls",
        (
            ("pods wanted", "#e07b00", lambda point: point.wanted),
            ("pods ready", "#1f77b4", lambda point: point.ready),
            ("calls waiting", "#d62728", lambda point: point.waiting),
        ),
    ),
    ("seconds", (("waited, p99", "#7a3fa0", lambda point: point.waited),)),
)


def draw(points: Sequence[Point]) -> str:
    """Return the picture: one panel below the other over the same seconds."""
    body = "\n".join(
        line
        for number, (unit, lines) in enumerate(PANELS)
        for line in _panel(points, unit, lines, HEIGHT * number)
    )
    return _FRAME.format(width=WIDTH, height=HEIGHT * len(PANELS), body=body)


def _panel(points: Sequence[Point], unit: str, lines: Sequence[Line], top: int) -> Iterator[str]:
    first, last = points[0].second, points[-1].second
    most = max(value(point) for _, _, value in lines for point in points) * 1.1 or 1.0
    floor = top + HEIGHT - MARGIN

    def place(second: float, value: float) -> tuple[float, float]:
        x = MARGIN + (WIDTH - 2 * MARGIN) * (second - first) / (last - first)
        return x, floor - (HEIGHT - 2 * MARGIN) * value / most

    for share in range(5):
        x, y = place(first, most * share / 4)
        label = f"{most * share / 4:.3g}"
        yield f'<text x="{x - 8:.1f}" y="{y + 4:.1f}" text-anchor="end">{label}</text>'
        yield f'<path d="M{x:.1f},{y:.1f} H{WIDTH - MARGIN}" stroke="#dddddd"/>'
    for second in range(0, int(last) + 1, 10):
        x, _ = place(second, 0)
        yield f'<text x="{x:.1f}" y="{floor + 18}" text-anchor="middle">{second} s</text>'
    yield f'<text x="{WIDTH - MARGIN}" y="{top + 20}" text-anchor="end">{unit}</text>'
    for index, (name, colour, value) in enumerate(lines):
        corners = (place(point.second, value(point)) for point in points)
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in corners)
        yield f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>'
        yield f'<text x="{MARGIN + 8 + 130 * index}" y="{top + 20}" fill="{colour}">{name}</text>'
