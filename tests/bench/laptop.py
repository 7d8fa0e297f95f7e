"""From `pluginsandbox run` to the first answer."""

from __future__ import annotations

import subprocess
import time
import urllib.error
import urllib.request

from tests.bed.kubectl import until
from tests.bed.shell import REPOSITORY
from tests.bench import chart, table
from tests.bench.servers import PROGRAM, free_port
from tests.bench.table import Spread

RUNS = 7
SAMPLE = "manifests/samples/shop.yaml"
PATH = "/v1/plugins/inventory-check/functions/available"


def run() -> None:
    """Start the sample several times and publish the spread."""
    seconds = Spread(tuple(_start() for _ in range(RUNS)))
    heads = ("what", "seconds")
    what = f"pluginsandbox run {SAMPLE}"
    rows = [(f"`{what}` to its first answer", seconds.text(2))]
    table.publish("laptop", table.markdown(heads, rows))
    chart.bars("laptop", "From nothing to the first answer, seconds", [(what, seconds)], ours=what)


def _start() -> float:
    port = free_port()
    command = [str(PROGRAM), "run", SAMPLE, "--port", str(port)]
    began = time.monotonic()
    process = subprocess.Popen(
        [*command, "--admin-port", str(free_port())],
        cwd=REPOSITORY,
        stdin=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        until("the first answer", lambda: answers(port), seconds=30, every=0.005)
        return time.monotonic() - began
    finally:
        process.terminate()
        process.wait(timeout=40)


def answers(port: int) -> bool:
    """Tell whether the sample answers a call."""
    url = f"http://127.0.0.1:{port}{PATH}"
    request = urllib.request.Request(url, b'{"sku": "A-100"}', {"Sandbox-Context": "shanghai-1"})
    try:
        with urllib.request.urlopen(request, timeout=5) as response:
            return bool(response.status == 200)
    except urllib.error.HTTPError as error:
        error.close()
        return False
