"""What a host, a worker and a context take of the memory."""

from __future__ import annotations

import contextlib
import subprocess
import time

from tests.bed.kubectl import until
from tests.bed.shell import REPOSITORY
from tests.bench import chart, goals, pinned, processes, table
from tests.bench.goals import Goal
from tests.bench.laptop import SAMPLE, answers
from tests.bench.servers import BASELINE, PER_CONTEXT, PROGRAM, free_port, running
from tests.bench.table import Spread

SETTLED_SECONDS = 1.0


def run() -> None:
    """Measure and publish."""
    table.progress("memory of an idle host with the three example plugins")
    host, zygote, workers = _idle()
    table.progress("memory of a worker of its own, and of a bare server")
    own = _worker_of_its_own()
    with running(BASELINE) as bare:
        uvicorn = processes.resident_bytes(bare.pid)
    table.progress("memory of 100,000 contexts")
    contexts = pinned.python("tests.bench.inside", "contexts")
    figures = {
        "PluginSandbox, host, idle (resident)": host,
        "PluginSandbox, zygote (proportional)": zygote,
        "PluginSandbox, worker of an example (same)": sum(workers) / len(workers),
        "PluginSandbox, worker of a context (same)": own,
        "uvicorn, bare echo (resident)": uvicorn,
    }
    rows = [(name, f"{size / 2**20:.1f} MiB") for name, size in figures.items()]
    rows += [
        ("a live PerPlugin context, in the host, of 100,000", f"{contexts['host']:.0f} B"),
        ("the same, in its worker", f"{contexts['worker']:.0f} B"),
        ("contexts bound in a second, 64 calls at once", f"{contexts['rate']:.0f}"),
    ]
    each = Spread((contexts["host"],))
    promised = [Goal("a live PerPlugin context, in the host", 1024, each, unit=" B")]
    body = table.markdown(("what", "figure"), rows)
    table.publish("memory", f"{body}\n\n{goals.markdown(promised)}")
    bars = [(name, Spread((size / 2**20,))) for name, size in figures.items()]
    chart.bars("memory", "Memory, MiB", bars, ours="PluginSandbox")


def _idle() -> tuple[int, int, list[int]]:
    """Return the bytes of host, zygote and workers of the sample, once it answers."""
    port = free_port()
    command = [str(PROGRAM), "run", SAMPLE, "--port", str(port)]
    process = subprocess.Popen(
        [*command, "--admin-port", str(free_port())],
        cwd=REPOSITORY,
        stdin=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        until("the sample answers", lambda: answers(port), seconds=30)
        time.sleep(SETTLED_SECONDS)
        host, zygote, *workers = processes.tree(process.pid)
        sizes = [processes.proportional_bytes(pid) for pid in (zygote, *workers)]
        return processes.resident_bytes(host), sizes[0], sizes[1:]
    finally:
        process.terminate()
        process.wait(timeout=40)


def _worker_of_its_own() -> float:
    with running(PER_CONTEXT) as ours:
        # Host, zygote, and the workers that are kept warm.
        until("workers are warm", lambda: len(processes.tree(ours.pid)) > 3, seconds=30)
        time.sleep(SETTLED_SECONDS)
        workers = processes.tree(ours.pid)[2:]
        found = []
        for pid in workers:
            with contextlib.suppress(OSError, LookupError):
                found.append(processes.proportional_bytes(pid))
        return sum(found) / len(found)
