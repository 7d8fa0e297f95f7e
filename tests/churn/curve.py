"""Draws memory over binds as SVG: no library, one file, readable in light and dark pages."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tests.churn.churn import Point
from tests.churn.watch import MIB, Held

WIDTH, HEIGHT, MARGIN = 720, 300, 56
LINES: tuple[tuple[str, str, Callable[[Held], int]], ...] = (
    ("host", "#1f77b4", lambda held: held.host),
    ("shared worker", "#d62728", lambda held: held.worker),
)
_FRAME = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
    'font-family="sans-serif" font-size="12">\n'
    '<rect width="100%" height="100%" fill="#ffffff"/>\n{body}\n</svg>\n'
)


def draw(points: Sequence[Point]) -> str:
    """Return the picture: resident MiB from zero, so that a slope looks as steep as it is."""
    most_binds = points[-1][0]
    top = max(of(held) for _, held in points for _, _, of in LINES) / MIB * 1.15
    right, bottom = WIDTH - MARGIN, HEIGHT - MARGIN

    def place(binds: float, mebibytes: float) -> tuple[float, float]:
        x = MARGIN + (right - MARGIN) * binds / most_binds
        return x, bottom - (bottom - MARGIN / 2) * mebibytes / top

    parts = [_axes(place, most_binds, top)]
    for index, (name, colour, of) in enumerate(LINES):
        corners = (place(binds, of(held) / MIB) for binds, held in points)
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in corners)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        x = MARGIN + 8 + 120 * index
        parts.append(f'<text x="{x}" y="{MARGIN / 2 + 4}" fill="{colour}">{name}</text>')
    return _FRAME.format(width=WIDTH, height=HEIGHT, body="\n".join(parts))


def _axes(place: Callable[[float, float], tuple[float, float]], binds: int, top: float) -> str:
    parts = []
    for share in range(5):
        x, y = place(binds * share / 4, 0)
        label = f"{binds * share // 4:,}"
        parts.append(f'<text x="{x:.1f}" y="{y + 18:.1f}" text-anchor="middle">{label}</text>')
        x, y = place(0, top * share / 4)
        label = f"{top * share / 4:.0f}"
        parts.append(f'<text x="{x - 8:.1f}" y="{y + 4:.1f}" text-anchor="end">{label}</text>')
        end, _ = place(binds, 0)
        parts.append(f'<path d="M{x:.1f},{y:.1f} H{end:.1f}" stroke="#dddddd"/>')
    x, y = place(binds / 2, 0)
    parts.append(
        f'<text x="{x:.1f}" y="{y + 40:.1f}" text-anchor="middle">binds and reclaims</text>'
    )
    parts.append(f'<text x="{WIDTH - MARGIN}" y="{MARGIN / 2 + 4}" text-anchor="end">MiB</text>')
    return "\n".join(parts)
