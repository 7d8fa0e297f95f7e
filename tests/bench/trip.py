"""One call, one after the other: from the host's loop to a worker, and by what others have."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tests.bench import chart, goals, pinned, programs, table
from tests.bench.goals import Goal
from tests.bench.table import Spread

SIZES = (100, 4096)
ROUNDS = 2
STARTS, CALLS = 5, 3000
NAMES = {
    "bare": "bare echo over uvloop and SEQPACKET",
    "ours": "PluginSandbox, host to worker",
    "subprocess": "a process for each call, subprocess",
    "forkserver": "a process for each call, fork server",
    "pool": "ProcessPoolExecutor, fork server",
}


def run() -> None:
    """Measure and publish."""
    found = [_round(turn) for turn in range(ROUNDS)]
    rounds, costs = [each for each, _ in found], [each for _, each in found]
    names = list(rounds[0])
    rows = []
    for name in names:
        small, large = ([each[name].get(size) for each in rounds] for size in SIZES)
        rows.append((name, *_texts(small), *_texts(large)))
    heads = ("what", *(f"{size} B: {word}" for size in SIZES for word in ("p50 µs", "p99 µs")))
    shares = [
        (NAMES[way], *(Spread.of(each[way][n] for each in costs).text(1) for n in (0, 1)))
        for way in ("bare", "ours")
    ]
    promised = [
        Goal(f"{size} B: host to worker and back, p50, to the bare echo", 1.3, _ratio(rounds, size))
        for size in SIZES
    ]
    note = goals.markdown(promised)
    split = table.markdown(("of 100 B, CPU µs", "host and its loop", "child"), shares)
    table.publish("trip", f"{table.markdown(heads, rows)}\n\n{note}\n\n{split}")
    bars = [(name, Spread.of(each[name][100][0] for each in rounds)) for name in names]
    title = "One call of 100 B, there and back, median in microseconds"
    chart.bars("trip", title, bars, ours="PluginSandbox", logarithmic=True)


Round = dict[str, dict[int, tuple[float, float]]]
"""What to size to p50 and p99 in microseconds."""


Costs = dict[str, tuple[float, float]]
"""Way to the microseconds of CPU of host and child."""


def _round(turn: int) -> tuple[Round, Costs]:
    found: Round = {}
    table.progress(f"round {turn + 1} of {ROUNDS}: host to worker, and a bare echo")
    inside = pinned.python("tests.bench.inside", "trip")
    found["blocking pair, no event loop"] = {100: quantiles(inside["pair"])}
    for way in ("bare", "ours"):
        found[NAMES[way]] = {size: _best(inside["trip"][str(size)][way]) for size in SIZES}
    table.progress(f"round {turn + 1} of {ROUNDS}: Extism")
    extism = pinned.python("tests.bench.peers.extism_calls")["calls"]
    found["Extism, Python SDK, in process"] = {size: quantiles(extism[str(size)]) for size in SIZES}
    table.progress(f"round {turn + 1} of {ROUNDS}: hashicorp/go-plugin")
    program = programs.built(programs.GO_PLUGIN) / "goplugin"
    for way in pinned.run(program, str(STARTS), str(CALLS)):
        calls = {each["bytes"]: (each["p50"], each["p99"]) for each in way["calls"]}
        found[f"hashicorp/go-plugin, {way['way']}"] = calls
    table.progress(f"round {turn + 1} of {ROUNDS}: processes of Python's own making")
    for way, took in pinned.python("tests.bench.peers.process_calls").items():
        found[NAMES[way]] = {100: quantiles(took)}
    costs = {way: _least(inside["trip"]["100"][way]) for way in ("bare", "ours")}
    return found, costs


def quantiles(values: Sequence[float]) -> tuple[float, float]:
    """Return median and 99th percentile."""
    ordered = sorted(values)
    return ordered[len(ordered) // 2], ordered[int(0.99 * (len(ordered) - 1))]


def _best(rounds: Sequence[dict[str, Any]]) -> tuple[float, float]:
    """Return the round that other work on this machine disturbed least."""
    return min(quantiles(each["trips"]) for each in rounds)


def _least(rounds: Sequence[dict[str, Any]]) -> tuple[float, float]:
    return min(each["host"] for each in rounds), min(each["child"] for each in rounds)


def _texts(found: Sequence[tuple[float, float] | None]) -> tuple[str, str]:
    kept = [each for each in found if each is not None]
    if not kept:
        return "", ""
    p50, p99 = (Spread.of(each[n] for each in kept) for n in (0, 1))
    return p50.text(1), p99.text(0)


def _ratio(rounds: Sequence[Round], size: int) -> Spread:
    ours, bare = (
        Spread.of(each[NAMES[way]][size][0] for each in rounds) for way in ("ours", "bare")
    )
    return table.ratios(ours, bare)
