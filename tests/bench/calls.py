"""Calls from the network: same payload, same cores, same load for every server, in turn."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Sequence

from tests.bench import chart, goals, load, servers, table
from tests.bench.goals import Goal
from tests.bench.load import Run
from tests.bench.servers import Running, Server
from tests.bench.table import Spread

ROUNDS = 3
PAYLOADS = (100, 4096)
SECONDS = 0.8
TRY_SECONDS = 0.5
FIXED_RATES = (1000, 4000)
QUANTILES = ("p50", "p99", "p999")
ROOM = 0.8
"""A fixed rate is tried only below this share of what a server can do."""


@dataclasses.dataclass(frozen=True)
class Figures:
    """One server, one payload, one round."""

    closed: Run
    """As many calls as are answered."""
    held: float
    half: Run
    """At half the closed-loop rate."""
    fixed: dict[int, Run | None]
    """None where the server cannot keep up."""


def run() -> None:
    """Measure every server with every payload and publish the tables."""
    found: dict[tuple[int, Server], list[Figures]] = {}
    for turn in range(ROUNDS):
        for server in servers.SERVERS:
            with servers.running(server) as running:
                for size in PAYLOADS:
                    table.progress(f"round {turn + 1} of {ROUNDS}, {size} B: {server.name}")
                    found.setdefault((size, server), []).append(_measure(running, size))
    promised: list[Goal] = []
    for size in PAYLOADS:
        by_server = {server: found[size, server] for server in servers.SERVERS}
        _publish(size, by_server)
        promised.extend(_goals(size, by_server))
    heading = "### What we hold ourselves to"
    table.publish("calls-goals", f"{heading}\n\n{goals.markdown(promised)}")
    title = "How many times over each goal is held; below 1 it is missed"
    margins = [
        (what.replace("PluginSandbox, ", ""), held) for what, held in goals.margins(promised)
    ]
    chart.bars("calls-goals", title, margins)


def _measure(running: Running, size: int) -> Figures:
    load.warm(running, size)
    closed = load.run(running, size, SECONDS)
    fixed = {
        rate: load.run(running, size, SECONDS, rate) if rate < ROOM * closed.rate else None
        for rate in FIXED_RATES
    }
    return Figures(
        closed,
        load.highest_held(running, size, TRY_SECONDS, closed.rate),
        load.run(running, size, SECONDS, max(closed.rate / 2, 1)),
        fixed,
    )


def _publish(size: int, found: dict[Server, list[Figures]]) -> None:
    rates = {server: Spread.of(each.closed.rate for each in runs) for server, runs in found.items()}
    costs = {server: Spread.of(each.closed.cpu for each in runs) for server, runs in found.items()}
    base_rates, base_costs = rates[servers.BASELINE], costs[servers.BASELINE]
    throughput = [
        (
            server.name,
            rates[server].text(0),
            table.ratios(rates[server], base_rates).text(2),
            costs[server].text(1),
            table.ratios(base_costs, costs[server]).text(2),
            Spread.of(each.held for each in runs).text(0),
            str(sum(each.closed.errors + each.half.errors for each in runs)),
        )
        for server, runs in found.items()
    ]
    heads = ("server", "calls/s", "to bare echo", "CPU µs a call", "to bare echo, by CPU")
    table.publish(
        f"calls-{size}", table.markdown((*heads, "highest rate held", "errors"), throughput)
    )
    table.publish(f"latency-{size}", table.markdown(*_latencies(found)))
    chart.bars(
        f"calls-{size}",
        f"Calls a second on one core, {size} B of JSON",
        [(server.name, rates[server]) for server in found],
        ours="PluginSandbox",
    )
    chart.bars(
        f"latency-{size}",
        f"99th percentile at half the highest rate, {size} B of JSON, milliseconds",
        [(s.name, Spread.of(each.half.p99 / 1e3 for each in runs)) for s, runs in found.items()],
        ours="PluginSandbox",
        logarithmic=True,
    )


def _goals(size: int, found: dict[Server, list[Figures]]) -> Iterator[Goal]:
    limits = (
        (servers.PER_PLUGIN, servers.BASELINE, 0.8 if size == PAYLOADS[0] else 0.7),
        (servers.PER_CONTEXT, servers.BASELINE, 0.4),
        (servers.PER_PLUGIN, servers.GRPC_AIO, 4.0),
        (servers.PER_PLUGIN, servers.GRPC_SYNC, 3.0),
    )
    for ours, theirs, limit in limits:
        what = f"{size} B: {ours.name}, to {theirs.name}"
        rates, costs = (
            [Spread.of(getattr(each.closed, name) for each in found[s]) for s in (ours, theirs)]
            for name in ("rate", "cpu")
        )
        yield Goal(f"{what}, by calls/s", limit, table.ratios(*rates), least=True)
        yield Goal(f"{what}, by CPU", limit, table.ratios(costs[1], costs[0]), least=True)
    tails = table.ratios(_tails(found[servers.PER_PLUGIN]), _tails(found[servers.BASELINE]))
    yield Goal(f"{size} B: p99/p50 at half the highest rate, to the bare echo's", 1.5, tails)


def _latencies(
    found: dict[Server, list[Figures]],
) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    columns = [f"at {rate}/s: p50, p99, p99.9 ms" for rate in FIXED_RATES]
    heads = ("server", *columns, "at half its highest: p50, p99, p99.9 ms", "p99/p50", "to bare")
    base = _tails(found[servers.BASELINE])
    rows = [
        (
            server.name,
            *(_milliseconds([each.fixed[rate] for each in runs]) for rate in FIXED_RATES),
            _milliseconds([each.half for each in runs]),
            _tails(runs).text(1),
            table.ratios(_tails(runs), base).text(2),
        )
        for server, runs in found.items()
    ]
    return heads, rows


def _tails(runs: Sequence[Figures]) -> Spread:
    return Spread.of(each.half.p99 / (each.half.p50 or math.nan) for each in runs)


def _milliseconds(runs: Sequence[Run | None]) -> str:
    kept = [each for each in runs if each is not None and each.held]
    if not kept:
        return "not held"
    medians = (Spread.of(getattr(run, name) / 1e3 for run in kept).median for name in QUANTILES)
    return ", ".join(f"{median:.2f}" for median in medians)
