"""Puts a server under load from the other core, by the program in `modules/load`."""

from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path

from tests.bed import shell
from tests.bench import processes, programs
from tests.bench.cores import LOAD_CORE
from tests.bench.servers import Running

CONTEXTS = 16
WARM_SECONDS, WARM_RUNS = 0.3, 40
HELD_SHARE = 0.99
"""Of the requests that were due, at the end of a run, for a rate to count as held."""
UNDER_WAY = 4
"""Calls that may be under way at the end besides: a slow server has more than a hundredth so."""
STEPS = (0.95, 0.85, 0.7, 0.5)
"""Shares of the closed-loop rate at which the highest rate held is looked for."""


@dataclasses.dataclass(frozen=True)
class Run:
    """What the load saw; times in microseconds."""

    rate: float
    """Answers a second."""
    p50: float
    p99: float
    p999: float
    answers: int
    errors: int
    waiting: int
    """Requests without an answer at the end."""
    cpu: float
    """Processor time of the server and all its workers for each answer."""
    held: bool
    """Whether it kept up with the rate at which requests were due."""


def body(size: int) -> str:
    """Return arguments of so many bytes of JSON."""
    return json.dumps({"text": "x" * (size - len('{"text": ""}'))})


def run(running: Running, size: int, seconds: float, rate: float = 0) -> Run:
    """Send requests for a while.

    Args:
        running: To what.
        size: Bytes of each body.
        seconds: For how long.
        rate: Requests a second, sent when they are due whatever became of those before; 0 sends the
            next one on each connection when it has its answer.

    """
    server = running.server
    options = {
        "address": f"127.0.0.1:{running.port}",
        "path": server.path,
        "body": body(size),
        "protocol": server.protocol,
        "contexts": CONTEXTS,
        "connections": server.connections,
        "streams": server.streams,
        "seconds": seconds,
        "rate": rate,
    }
    words = [f"-{name}={value}" for name, value in options.items()]
    program: Path = programs.built(programs.LOAD) / "load"
    before = processes.cpu_seconds(running.pid)
    traced = f"-traced={str(server.traced).lower()}"
    printed = shell.run("taskset", "--cpu-list", str(LOAD_CORE), program, traced, *words).stdout
    used = processes.cpu_seconds(running.pid) - before
    return parse(printed, used, seconds)


def parse(printed: str, cpu_seconds: float, seconds: float) -> Run:
    """Read what the program prints."""
    found = json.loads(printed)
    due = found["offered"] * seconds
    return Run(
        **{name: found[name] for name in ("rate", "p50", "p99", "p999")},
        **{name: found[name] for name in ("answers", "errors", "waiting")},
        cpu=cpu_seconds / found["answers"] * 1e6 if found["answers"] else math.inf,
        held=found["rate"] * seconds >= HELD_SHARE * due - UNDER_WAY,
    )


def warm(running: Running, size: int) -> None:
    """Send requests until all of them are answered: its plugins are loaded, its contexts bound.

    Raises:
        TimeoutError: They never were.

    """
    for _ in range(WARM_RUNS):
        found = run(running, size, WARM_SECONDS)
        if found.answers and not found.errors and not found.waiting:
            return
    raise TimeoutError(f"{running.server.name} does not answer all requests")


def highest_held(running: Running, size: int, seconds: float, most: float) -> float:
    """Return the highest rate that a server keeps up with, 0 if none was found.

    Args:
        running: Which.
        size: Bytes of each body.
        seconds: For each try.
        most: Its closed-loop rate.

    """
    for share in STEPS:
        if run(running, size, seconds, most * share).held:
            return most * share
    return 0.0
