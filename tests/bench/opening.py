"""From a plugin's files to a plugin that serves, beside what Go's `plugin.Open` takes."""

from __future__ import annotations

import statistics

from tests.bench import chart, goals, pinned, programs, table
from tests.bench.goals import Goal
from tests.bench.inside.loading import STAGES
from tests.bench.table import Spread

ROUNDS = 3
GO_PROCESSES = 10
"""Each opens the shared object once: a second time in one process it is open already."""


def run() -> None:
    """Measure and publish."""
    table.progress("loading the three example plugins")
    found = [pinned.python("tests.bench.inside", "loading") for _ in range(ROUNDS)]
    rows, bars = [], []
    for name in found[0]["stages"]:
        stages = {
            stage: Spread.of(
                statistics.median(each[stage] for each in several["stages"][name])
                for several in found
            )
            for stage in STAGES
        }
        rows.append((f"PluginSandbox: {name}", *(stages[stage].text(2) for stage in STAGES)))
        bars.append((f"PluginSandbox: {name}", _sum(stages)))
    together = Spread.of(statistics.median(several["together"]) for several in found)
    three = Spread.of(map(sum, zip(*(spread.values for _, spread in bars), strict=True)))
    promised = [Goal("verify, load and on_start of the three together", 50, three, unit=" ms")]
    table.progress("opening a Go shared object")
    opens, lookups = _go()
    note = (
        f"{goals.markdown(promised)}\n\n"
        "With two forks and two imports each, one to look at the plugin and one to serve, from "
        f"files to three answers: {together.text(1)} ms.\n\n"
        f"Go `plugin.Open`: {opens.text(2)} ms in a fresh process; `Lookup`: "
        f"{lookups.text(2)} µs. Nothing is verified or isolated, and nothing can be unloaded."
    )
    heads = ("plugin", *(f"{stage} ms" for stage in STAGES))
    table.publish("open", f"{table.markdown(heads, rows)}\n\n{note}")
    title = "Verify, import and start a plugin, median in milliseconds"
    chart.bars("open", title, [*bars, ("Go plugin.Open", opens)], ours="PluginSandbox")


def _sum(stages: dict[str, Spread]) -> Spread:
    parts = (stages[stage].values for stage in ("verify", "load", "on_start"))
    return Spread.of(map(sum, zip(*parts, strict=True)))


def _go() -> tuple[Spread, Spread]:
    folder = programs.shared_object()
    found = [
        pinned.run(folder / programs.HOST, folder / programs.PLUGIN) for _ in range(GO_PROCESSES)
    ]
    return (
        Spread.of(each["open"] / 1e3 for each in found),
        Spread.of(each["lookup"] for each in found),
    )
