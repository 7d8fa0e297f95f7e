"""What a slot costs, beside the context variable that it is."""

from __future__ import annotations

import contextvars
import time
import timeit
from collections.abc import Callable

from pluginsandbox.sdk import slot
from tests.bench import chart, cores, table
from tests.bench.table import Spread

ROUNDS = 9
LOOPS = 100_000


def run() -> None:
    """Measure and publish."""
    count = slot(int, default=0)
    count.__set_name__(object, "count")
    count.bind_key("gls_bench")
    bare = contextvars.ContextVar("bare", default=0)
    # What is measured runs in a context of its own, as a plugin's call does.
    calls: dict[str, Callable[[], object]] = {
        "a context variable: get": bare.get,
        "PluginSandbox, a slot: get": count.get,
        "a context variable: set": lambda: bare.set(1),
        "PluginSandbox, a slot: set": lambda: count.set(1),
    }
    table.progress("slots")
    found: dict[str, list[float]] = {name: [] for name in calls}
    with cores.on_one():
        for _ in range(ROUNDS):
            empty = _nanoseconds(lambda: None)
            for name, call in calls.items():
                loop = 0.0 if name.endswith("get") else empty
                found[name].append(_nanoseconds(call) - loop)
    rows = [(name, Spread.of(took).text(0)) for name, took in found.items()]
    table.publish("slots", table.markdown(("what", "ns"), rows))
    bars = [(name, Spread.of(took)) for name, took in found.items()]
    chart.bars("slots", "Read and write a slot, median in nanoseconds", bars, ours="PluginSandbox")


def _nanoseconds(call: Callable[[], object]) -> float:
    context = contextvars.copy_context()
    # The thread's own time: others on this core are not counted.
    seconds: float = context.run(timeit.timeit, call, timer=time.thread_time, number=LOOPS)
    return seconds / LOOPS * 1e9
