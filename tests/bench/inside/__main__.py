"""`python -m tests.bench.inside trip|bind|contexts|loading`: measures and prints JSON."""

from __future__ import annotations

import asyncio
import json
import sys

import uvloop

from pluginsandbox.telemetry import logs
from tests.bench.inside import bind, contexts, loading, trip

MEASUREMENTS = {
    "bind": bind.measure,
    "contexts": contexts.measure,
    "loading": loading.measure,
    "trip": trip.measure,
}

if __name__ == "__main__":
    logs.configure("error")
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        print(json.dumps(runner.run(MEASUREMENTS[sys.argv[1]]())))
