"""`pluginsandbox simulate`: what a scaling policy would do with a load."""

from __future__ import annotations

import argparse
import dataclasses
import datetime as dt
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pluginsandbox.api import policy
from pluginsandbox.api.policy import PolicyError
from pluginsandbox.api.scaling import MAX_REPLICAS, Scaling
from pluginsandbox.autoscaler import drawing, record, simulate, trace
from pluginsandbox.autoscaler.core import Seen
from pluginsandbox.autoscaler.simulate import Figures, Model, Ours, Second
from pluginsandbox.autoscaler.trace import Trace, TraceError

MOST_START_SECONDS = 3600.0
LEAST_CALL_SECONDS, MOST_CALL_SECONDS = 0.2, 3600.0
HEADS = (
    "policy",
    "time to capacity s",
    "waiting call-s",
    "pod-s",
    "wasted pod-s",
    "reversals",
    "peak",
    "decisions",
)


@dataclasses.dataclass(frozen=True)
class Result:
    """One policy's run."""

    name: str
    policy: Scaling
    seconds: list[Second]
    figures: Figures
    ours: Ours
    begins: int


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "--trace",
        type=Path,
        required=True,
        metavar="FILE",
        help="load as CSV with the columns seconds,demand[,readable]: calls in progress or "
        "waiting, all pods together; readable=no: the hosts cannot be read then",
    )
    parser.add_argument(
        "--policy",
        type=Path,
        required=True,
        action="append",
        metavar="FILE",
        help="YAML with a PluginSandbox, of which spec.scaling counts; repeat to compare",
    )
    parser.add_argument(
        "--start-seconds", type=float, default=4.0, help="how long a pod takes to start (4)"
    )
    parser.add_argument("--replicas", type=int, help="pods at the beginning (minReplicas)")
    parser.add_argument(
        "--call-seconds",
        type=float,
        metavar="S",
        help="let calls pile up: demand is what is offered, a call takes so long, and calls that "
        "find no place wait",
    )
    parser.add_argument(
        "--at",
        type=_moment,
        default=0,
        metavar="TIME",
        help="when the trace begins, for schedules, such as 2026-11-27T19:55:00+08:00 "
        "(1970-01-01T00:00:00Z)",
    )
    parser.add_argument("--json", action="store_true", help="print all figures and decisions")
    parser.add_argument("--plot", type=Path, metavar="FILE.svg", help="draw it")
    parser.add_argument(
        "--record", type=Path, metavar="FILE", help="write the decisions for `pluginsandbox replay`"
    )


def run(options: argparse.Namespace) -> int:
    """Simulate; print a table, or JSON."""
    try:
        _check(options)
        load = trace.parse(_read(options.trace), str(options.trace))
        results = [_result(path, load, options) for path in options.policy]
        _write(options, results)
    except (TraceError, PolicyError) as error:
        print(f"pluginsandbox simulate: {error}", file=sys.stderr)
        return 1
    if options.json:
        found = [_object(result) for result in results]
        print(json.dumps(found[0] if len(found) == 1 else found, indent=2))
    else:
        print(table(HEADS, [_row(result) for result in results]))
    return 0


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return lines of cells, aligned: the first column to the left, numbers to the right."""
    widths = [max(len(row[n]) for row in (heads, *rows)) for n in range(len(heads))]
    lines = (
        "  ".join(
            cell.ljust(width) if not number else cell.rjust(width)
            for number, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in (heads, *rows)
    )
    return "\n".join(line.rstrip() for line in lines)


def _moment(word: str) -> int:
    """Read a moment with its zone."""
    try:
        moment = dt.datetime.fromisoformat(word)
    except ValueError as error:
        raise argparse.ArgumentTypeError(
            f"must be a time such as 2026-11-27T19:55:00+08:00, not {word!r}"
        ) from error
    if moment.tzinfo is None:
        raise argparse.ArgumentTypeError(f"{word} must end with its zone: Z, or such as +08:00")
    return int(moment.timestamp())


def _check(options: argparse.Namespace) -> None:
    bounds: tuple[tuple[str, float | None, float, float], ...] = (
        ("--start-seconds", options.start_seconds, 0, MOST_START_SECONDS),
        ("--replicas", options.replicas, 0, MAX_REPLICAS),
        ("--call-seconds", options.call_seconds, LEAST_CALL_SECONDS, MOST_CALL_SECONDS),
    )
    for name, value, least, most in bounds:
        if value is not None and not least <= value <= most:
            raise TraceError(f"{name} must be from {least:g} to {most:g}, not {value:g}")


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise TraceError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise TraceError(f"{path}: must be UTF-8: {error.reason}") from error


def _result(path: Path, load: Trace, options: argparse.Namespace) -> Result:
    scaling = policy.load(path)
    replicas = scaling.min_replicas if options.replicas is None else options.replicas
    model = Model(
        replicas, options.start_seconds, _target(path, scaling), options.call_seconds, options.at
    )
    ours = Ours(scaling)
    seconds = simulate.run(load, model, ours)
    return Result(
        path.stem, scaling, seconds, simulate.figures(seconds, replicas), ours, options.at
    )


def _target(path: Path, scaling: Scaling) -> int:
    """Return how many calls a pod serves at once."""
    targets = {metric.type: metric.target for metric in scaling.metrics}
    if "Concurrency" not in targets:
        raise PolicyError(
            f"{path}: spec.scaling.metrics must hold Concurrency: a trace of calls says nothing "
            f"of {' or '.join(targets)}"
        )
    return targets["Concurrency"]


def _write(options: argparse.Namespace, results: list[Result]) -> None:
    try:
        if options.plot:
            panels = [
                drawing.Panel(each.name, each.seconds, _target(options.trace, each.policy))
                for each in results
            ]
            options.plot.write_text(drawing.svg(options.trace.stem, panels), encoding="utf-8")
        if options.record:
            lines = (record.encode(seen) for each in results for seen in each.ours.decisions)
            options.record.write_bytes(b"".join(line + b"\n" for line in lines))
    except OSError as error:
        raise TraceError(f"{error.filename}: cannot be written: {error.strerror}") from error


def _row(result: Result) -> tuple[str, ...]:
    found = result.figures
    needed = found.time_to_capacity_seconds
    return (
        result.name,
        "never" if needed is None else f"{needed:.1f}",
        f"{found.waiting_call_seconds:.1f}",
        f"{found.pod_seconds:.0f}",
        f"{found.wasted_pod_seconds:.0f}",
        str(found.reversals),
        str(found.peak),
        str(len(result.ours.decisions)),
    )


def _object(result: Result) -> dict[str, Any]:
    found = result.figures
    return {
        "policy": result.name,
        "timeToCapacitySeconds": found.time_to_capacity_seconds,
        "waitingCallSeconds": found.waiting_call_seconds,
        "podSeconds": found.pod_seconds,
        "wastedPodSeconds": found.wasted_pod_seconds,
        "reversals": found.reversals,
        "peakReplicas": found.peak,
        "decisions": [_decision(seen, result.begins) for seen in result.ours.decisions],
    }


def _decision(seen: Seen, begins: int) -> dict[str, Any]:
    answer, facts = seen.answer, seen.facts
    return {
        "seconds": facts.now - begins,
        "from": facts.pods.requested,
        "to": answer.desired,
        "direction": answer.direction,
        "reason": answer.reason,
        "limitedBy": answer.limit,
        "message": record.sentence(seen),
        "inputs": record.inputs(seen),
    }
