"""Draws runs: demand, capacity, desired and waiting calls over time, one panel for each run."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterator, Sequence
from xml.sax.saxutils import escape

from pluginsandbox.autoscaler.simulate import Second

WIDTH, HEIGHT = 760, 170
LEFT, RIGHT, TOP, BOTTOM = 52, 26, 26, 26
HEAD = 44
POINTS = 400
"""Most points of a line: more than that cannot be seen."""
TICKS = 5
NICE = (1, 2, 5, 10)
MINUTE, HOUR = 60, 3600
TIME_TICKS = 10
TIME_STEPS = (1, 2, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 7200, 21_600, 86_400)


@dataclasses.dataclass(frozen=True, slots=True)
class Panel:
    """One run.

    Args:
        title: What ran.
        seconds: What became of each second.
        calls_per_pod: Calls that a pod serves at once.

    """

    title: str
    seconds: Sequence[Second]
    calls_per_pod: int


@dataclasses.dataclass(frozen=True, slots=True)
class _Line:
    name: str
    style: str
    value: Callable[[Panel, Second], float]


LINES = (
    _Line("demand", "stroke:#222;stroke-width:1.6", lambda _, each: each.demand),
    _Line("ready capacity", "stroke:#1f77b4;stroke-width:1.6", lambda _, each: each.capacity),
    _Line(
        "desired capacity",
        "stroke:#e07b00;stroke-width:1.4;stroke-dasharray:5 3",
        lambda panel, each: each.desired * panel.calls_per_pod,
    ),
)
WAITING = _Line("waiting calls", "fill:#d62728;fill-opacity:.45", lambda _, each: each.waiting)


def svg(title: str, panels: Sequence[Panel]) -> str:
    """Return a picture with the panels below one another, on the same scales.

    Args:
        title: Of the whole.
        panels: Runs of one trace, at least one.

    """
    most = max(_most(panel) for panel in panels) or 1.0
    span = max(len(panel.seconds) for panel in panels)
    height = HEAD + HEIGHT * len(panels)
    size = f'viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="sans-serif" font-size="11">',
        f'<rect width="{WIDTH}" height="{height}" fill="white"/>',
        f'<text x="{LEFT}" y="17" font-size="14" font-weight="bold">{escape(title)}</text>',
        *_legend(),
    ]
    for number, panel in enumerate(panels):
        parts.append(f'<g transform="translate(0 {HEAD + HEIGHT * number})">')
        parts += _panel(panel, most, span)
        parts.append("</g>")
    return "\n".join([*parts, "</svg>", ""])


def _most(panel: Panel) -> float:
    return max(line.value(panel, each) for line in (*LINES, WAITING) for each in panel.seconds)


def _legend() -> Iterator[str]:
    x = LEFT
    for line in LINES:
        yield f'<path d="M{x} 33h24" fill="none" style="{line.style}"/>'
        yield f'<text x="{x + 29}" y="37">{line.name}</text>'
        x += 140
    yield f'<rect x="{x}" y="28" width="24" height="9" style="{WAITING.style}"/>'
    yield f'<text x="{x + 29}" y="37">{WAITING.name}</text>'


def _panel(panel: Panel, most: float, span: int) -> Iterator[str]:
    yield from _axes(panel.title, most, span)
    yield f'<path d="{_path(panel, WAITING, most, span)}V{_y(0, most):g}H{LEFT}Z" {_s(WAITING)}/>'
    for line in LINES:
        yield f'<path d="{_path(panel, line, most, span)}" fill="none" {_s(line)}/>'


def _s(line: _Line) -> str:
    return f'style="{line.style}"'


def _axes(title: str, most: float, span: int) -> Iterator[str]:
    yield f'<text x="{LEFT}" y="{TOP - 8}" font-weight="bold">{escape(title)}</text>'
    for value in _ticks(most):
        y = _y(value, most)
        yield f'<path d="M{LEFT} {y:g}H{WIDTH - RIGHT}" stroke="#ddd"/>'
        yield f'<text x="{LEFT - 6}" y="{y + 4:g}" text-anchor="end">{value:g}</text>'
    for value in range(0, span + 1, _time_step(span)):
        x = _x(value, span)
        yield f'<text x="{x:g}" y="{HEIGHT - 8}" text-anchor="middle">{_time(value, span)}</text>'


def _ticks(most: float) -> list[float]:
    rough = most / TICKS
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * nice for nice in NICE if power * nice >= rough)
    return [step * number for number in range(int(most / step) + 1)]


def _time_step(span: int) -> int:
    return next((step for step in TIME_STEPS if step * TIME_TICKS >= span), span)


def _time(seconds: int, span: int) -> str:
    if _time_step(span) % HOUR == 0:
        return f"{seconds // HOUR} h"
    return f"{seconds // MINUTE} min" if _time_step(span) % MINUTE == 0 else f"{seconds} s"


def _path(panel: Panel, line: _Line, most: float, span: int) -> str:
    """Return steps; where there are more seconds than points, the highest of each few."""
    each = -(-len(panel.seconds) // POINTS)
    words: list[str] = []
    before = -1.0
    for first in range(0, len(panel.seconds), each):
        value = max(line.value(panel, second) for second in panel.seconds[first : first + each])
        x, y = _x(first, span), _y(value, most)
        if y != before:
            words.append(f"H{x:g}V{y:g}" if words else f"M{x:g} {y:g}")
        before = y
    return "".join([*words, f"H{_x(len(panel.seconds), span):g}"])


def _x(second: float, span: int) -> float:
    return round(LEFT + (WIDTH - LEFT - RIGHT) * second / span, 1)


def _y(value: float, most: float) -> float:
    return round(HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * value / most, 1)
