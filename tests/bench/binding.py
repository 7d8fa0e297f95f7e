"""What it takes to bind a context, beside what others take for one more of what they isolate."""

from __future__ import annotations

from collections.abc import Sequence

from tests.bench import chart, goals, pinned, programs, table
from tests.bench.goals import Goal
from tests.bench.table import Spread
from tests.bench.trip import quantiles

ROUNDS = 3
STARTS = 15
OURS = {
    "shared": "PluginSandbox, PerPlugin, with its first call",
    "warm": "PluginSandbox, PerContext, a warm worker",
    "beyond": "PluginSandbox, PerContext, none left warm",
}

Round = tuple[dict[str, tuple[float, float]], Sequence[float]]
"""Milliseconds, p50 and p99, by what; and how many workers came back in a second."""


def run() -> None:
    """Measure and publish."""
    rounds = [_round(turn) for turn in range(ROUNDS)]
    names = list(rounds[0][0])
    rows = [(name, *(_spread(rounds, name, n).text(3) for n in (0, 1))) for name in names]
    rates = Spread.of(rate for _, several in rounds for rate in several)
    note = f"Warm workers come back at {rates.text(0)} a second."
    promised = [
        Goal(f"{OURS[key]}, {('p50', 'p99')[n]}", limit, _spread(rounds, OURS[key], n), unit=" ms")
        for key, n, limit in (("shared", 0, 0.03), ("warm", 0, 0.5), ("beyond", 1, 6.0))
    ]
    body = table.markdown(("what", "p50 ms", "p99 ms"), rows)
    table.publish("bind", f"{body}\n\n{note}\n\n{goals.markdown(promised)}")
    bars = [(name, _spread(rounds, name, 0)) for name in names]
    title = "From nothing to one more isolated context or plugin, median in milliseconds"
    chart.bars("bind", title, bars, ours="PluginSandbox", logarithmic=True)


def _spread(rounds: Sequence[Round], name: str, n: int) -> Spread:
    return Spread.of(each[name][n] for each, _ in rounds)


def _round(turn: int) -> Round:
    table.progress(f"round {turn + 1} of {ROUNDS}: bind")
    inside = pinned.python("tests.bench.inside", "bind")
    usual = quantiles([second for _, second in inside["shared"]])[0]
    found = {
        name: _milliseconds([first - usual for first, _ in inside[key]])
        for key, name in OURS.items()
    }
    table.progress(f"round {turn + 1} of {ROUNDS}: Extism and go-plugin")
    extism = pinned.python("tests.bench.peers.extism_calls")
    found["Extism, Python SDK: instantiate"] = _milliseconds(extism["makes"])
    program = programs.built(programs.GO_PLUGIN) / "goplugin"
    for way in pinned.run(program, str(STARTS), "100"):
        found[f"hashicorp/go-plugin, {way['way']}: start"] = _milliseconds(way["starts"])
    return found, inside["replenish"]


def _milliseconds(microseconds: Sequence[float]) -> tuple[float, float]:
    p50, p99 = quantiles(microseconds)
    return p50 / 1e3, p99 / 1e3
