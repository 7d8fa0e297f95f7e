"""`python -m tests.surge`: 12 to 86 pods by the load, beside a plain `kubectl scale`, and back.

The plain Deployment has the sandbox's pod template, in a namespace where nobody looks after it. Of
both there are always the few; one after the other becomes many. It ends with one line; exit status
1 if a call failed, a context was lost or bound twice, or a run did not come to its end. Told to
stop (SIGTERM) it still keeps the books of what there was, and clears up. From 12 to 86 it writes
the table of docs/autoscaling.md.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
from typing import Any

from tests.bed import platform
from tests.bed.shell import REPOSITORY, CommandError
from tests.bench import table
from tests.surge import picture
from tests.surge.arena import DOWN_SECONDS, Arena, CutOffError, Run, arena

RUNS, FEW, MANY = 5, 12, 86
PAGE = REPOSITORY / "docs" / "autoscaling.md"
PICTURE = REPOSITORY / "docs" / "pictures" / "surge.svg"
HEADS = (
    *("run", "`kubectl scale`, s", "by the load, s", "ratio", "decided after, s"),
    *("calls", "failed", "longest wait, s", "back to few, s"),
)


def main() -> int:
    """Measure both in turns, the plain way first."""
    parser = argparse.ArgumentParser(prog="python -m tests.surge", description=__doc__)
    parser.add_argument("--runs", type=int, default=RUNS)
    parser.add_argument("--few", type=int, default=FEW)
    parser.add_argument("--many", type=int, default=MANY)
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, _cut_off)
    load = os.getloadavg()[0]
    cluster = platform.prepare()
    cluster.install()
    with arena(cluster, options.few, options.many) as ours:
        runs, ended = _run(ours, options.runs)
        books, ended = _books(ours, ended)
    shown = f"{_markdown(runs, books, ended)}\n\n{table.run_on(load)}" if runs else ended
    if runs and (options.few, options.many) == (FEW, MANY):
        table.publish("surge", shown, PAGE)
        PICTURE.write_text(picture.draw(runs[-1].points), encoding="utf-8")
    else:
        print(shown)
    for note in books["notes"]:
        print(note, file=sys.stderr)
    broken = sum(books.get(name, 1) for name in ("failed", "lost", "twice"))
    print(f"ratio={_ratio(runs)} {_told(books)}; {ended}")
    return 1 if broken or len(runs) < options.runs or runs[-1].down is None else 0


def _cut_off(*_: object) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    raise CutOffError("told to stop")


def _run(ours: Arena, count: int) -> tuple[list[Run], str]:
    """Measure so many times; return what was measured, and how it ended."""
    runs: list[Run] = []
    try:
        while len(runs) < count:
            runs.append(ours.run())
            table.progress(f"run {len(runs)}: {' | '.join(_row(len(runs), runs[-1]))}")
            if runs[-1].down is None:
                return runs, f"Run {len(runs)} of {count} did not get back to few pods."
    except (TimeoutError, CutOffError) as error:
        return runs, f"Run {len(runs) + 1} of {count} did not come to its end: {error}"
    return runs, f"All {count} runs came to their end."


def _books(ours: Arena, ended: str) -> tuple[dict[str, Any], str]:
    """Return the callers' books; without any, what was measured counts all the same."""
    try:
        return ours.finish(), ended
    except (CommandError, CutOffError) as error:
        return {"notes": []}, f"{ended} {error}"


def _ratio(runs: list[Run]) -> str:
    return table.Spread.of(run.up / run.plain for run in runs).text(2) if runs else "unknown"


def _markdown(runs: list[Run], books: dict[str, int], ended: str) -> str:
    rows = [_row(number, run) for number, run in enumerate(runs, start=1)]
    return (
        table.markdown(HEADS, rows)
        + f"\n\nRatio {_ratio(runs)}. All runs together: {_told(books)}. {ended}"
        + f"\n\n![The last run](pictures/{PICTURE.name})"
    )


def _told(books: dict[str, int]) -> str:
    return ", ".join(
        f"{name} {books.get(name, 'unknown')}" for name in ("calls", "failed", "lost", "twice")
    )


def _row(number: int, run: Run) -> list[str]:
    figures = (run.plain, run.up, run.up / run.plain, run.decided)
    shown = [f"{figure:.{digits}f}" for figure, digits in zip(figures, (1, 1, 2, 1), strict=True)]
    return [
        str(number),
        *shown,
        str(run.calls),
        str(run.failed),
        f"{run.waited:.1f}",
        f"not in {DOWN_SECONDS}" if run.down is None else f"{run.down:.1f}",
    ]


if __name__ == "__main__":
    sys.exit(main())
