"""Calls over HTTP: same payload, same cores, same load for every server, in turn."""

from __future__ import annotations

import dataclasses
import re
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.bed import shell
from tests.bench import servers, table
from tests.bench.servers import Server
from tests.bench.table import Spread

LOAD_CORE = "1"
CONNECTIONS = 32
SECONDS = 3
ROUNDS = 3
PAYLOADS = (100, 4096)
UNITS = {"us": 1e-3, "ms": 1.0, "s": 1e3}

SCRIPT = """
wrk.method = "POST"
wrk.body = '{{"text":"{filling}"}}'
wrk.headers["Content-Type"] = "application/json"
local n = 0
request = function()
  if {contexts} > 0 then
    n = (n + 1) % {contexts}
    wrk.headers["Sandbox-Context"] = "c" .. n
  end
  return wrk.format()
end
"""


@dataclasses.dataclass(frozen=True)
class Run:
    """What wrk measured."""

    rate: float
    """Answers a second."""
    p50: float
    """Milliseconds."""
    p99: float
    errors: int


def run() -> None:
    """Measure every server with every payload and publish the table."""
    _need_wrk()
    parts = [_part(size) for size in PAYLOADS]
    table.publish("calls", "\n\n".join(parts))


def _part(size: int) -> str:
    runs: dict[Server, list[Run]] = {server: [] for server in servers.SERVERS}
    for turn in range(ROUNDS):
        for server in servers.SERVERS:
            print(f"{size} B, round {turn + 1} of {ROUNDS}: {server.name}", flush=True)
            runs[server].append(_measure(server, size))
    baseline = _rates(runs[servers.BASELINE])
    rows = [_row(server, runs[server], baseline) for server in servers.SERVERS]
    heads = ("server", "calls/s", "ratio to bare echo", "p50 ms", "p99 ms", "errors")
    return f"{size} B of JSON, {CONNECTIONS} connections:\n\n{table.markdown(heads, rows)}"


def _row(server: Server, runs: Sequence[Run], baseline: Spread) -> tuple[str, ...]:
    rates = _rates(runs)
    return (
        server.name,
        rates.text(0),
        table.ratios(rates, baseline).text(2),
        Spread(tuple(each.p50 for each in runs)).text(2),
        Spread(tuple(each.p99 for each in runs)).text(2),
        str(sum(each.errors for each in runs)),
    )


def _rates(runs: Sequence[Run]) -> Spread:
    return Spread(tuple(each.rate for each in runs))


def _measure(server: Server, size: int) -> Run:
    filling = "x" * (size - len('{"text":""}'))
    with servers.running(server) as url, tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "post.lua"
        text = SCRIPT.format(filling=filling, contexts=server.contexts)
        script.write_text(text, encoding="utf-8")
        command = ("taskset", "--cpu-list", LOAD_CORE, "wrk", "--threads", "1", "--latency")
        options = ("--connections", str(CONNECTIONS), "--script", script)
        shell.run(*command, *options, "--duration", "1s", url)
        return parse(shell.run(*command, *options, "--duration", f"{SECONDS}s", url).stdout)


def parse(printed: str) -> Run:
    """Read what wrk prints."""
    rate = re.search(r"Requests/sec:\s+([\d.]+)", printed)
    bad = re.search(r"Non-2xx or 3xx responses: (\d+)", printed)
    broken = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+)", printed)
    if rate is None:
        raise shell.CommandError(f"wrk printed no rate:\n{printed}")
    errors = int(bad.group(1)) if bad else 0
    errors += sum(map(int, broken.groups())) if broken else 0
    return Run(float(rate.group(1)), _latency(printed, 50), _latency(printed, 99), errors)


def _latency(printed: str, percentile: int) -> float:
    found = re.search(rf"\b{percentile}%\s+([\d.]+)(us|ms|s)", printed)
    return float(found.group(1)) * UNITS[found.group(2)] if found else float("nan")


def _need_wrk() -> None:
    if shutil.which("wrk") is None:
        print("installing Debian package: wrk", flush=True)
        shell.run("apt-get", "install", "-y", "--no-install-recommends", "wrk")
