"""`python -m tests.churn`: a million binds, ten thousand workers, a hundred thousand live contexts.

Writes the figures and the memory curve into docs, unless told to do less than all of it.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from tests.bed.shell import REPOSITORY
from tests.bench import table
from tests.churn import churn, curve, live, sizes

BINDS, WORKERS, LIVE = 1_000_000, 10_000, 100_000
PAGE = REPOSITORY / "docs" / "contexts.md"
PICTURE = REPOSITORY / "docs" / "churn.svg"


def main() -> None:
    """Run what was asked for; end with one line."""
    parser = argparse.ArgumentParser(prog="python -m tests.churn", description=__doc__)
    parser.add_argument("--binds", type=int, default=BINDS)
    parser.add_argument("--workers", type=int, default=WORKERS)
    parser.add_argument("--live", type=int, default=LIVE)
    options = parser.parse_args()
    asked = (options.binds, options.workers, options.live)
    with tempfile.TemporaryDirectory() as folder:
        measured = sizes.run(Path(folder) / "sizes")
        cost = live.run(Path(folder) / "live", options.live)
        report = churn.run(Path(folder) / "churn", options.binds, options.workers)
    if asked == (BINDS, WORKERS, LIVE):
        table.publish("sizes", sizes.markdown(measured), PAGE)
        table.publish("churn", markdown(report, cost), PAGE)
        PICTURE.write_text(curve.draw(report.curve), encoding="utf-8")
    print(report.line)


def markdown(report: churn.Report, cost: live.Cost) -> str:
    """Write the figures."""
    start, end = report.start, report.end
    seconds, own_seconds = report.seconds
    return table.markdown(
        ("what", "figure"),
        [
            ("contexts bound and reclaimed, all counted", f"{report.reclaims:,}"),
            ("of which in a worker of their own, started and reaped", f"{report.workers:,}"),
            ("binds and reclaims a second, shared worker", _rate(report.binds, report, seconds)),
            ("workers a second", f"{report.workers / own_seconds:.0f}"),
            ("resident memory at start and end, host alone", _pair(start.host, end.host)),
            ("the same, host and all its processes", _pair(start.total, end.total)),
            ("the same, shared worker alone", _pair(start.worker, end.worker)),
            ("descriptors more than at the start", str(end.descriptors - start.descriptors)),
            ("processes more than at the start", str(end.children - start.children)),
            ("zombies", str(end.zombies)),
            ("files more than at the start", str(end.files - start.files)),
            (f"a live context in the host, of {cost.contexts:,}", f"{cost.host:.0f} bytes"),
            ("the same in its worker, with one slot", f"{cost.worker:.0f} bytes"),
        ],
    )


def _rate(binds: int, report: churn.Report, seconds: float) -> str:
    return f"{(binds - report.workers) / seconds:,.0f}"


def _pair(start: int, end: int) -> str:
    mebibyte = 1 << 20
    return f"{start / mebibyte:.1f} and {end / mebibyte:.1f} MiB ({end / start - 1:+.1%})"


if __name__ == "__main__":
    main()
