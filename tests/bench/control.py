"""`make bench-control`: a thousand objects through the control plane, ours beside the floor."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import dataclasses
import datetime as dt
import json
import os
import ssl
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import aiohttp
import yaml

from pluginsandbox.controller import connection, kinds
from pluginsandbox.controller.cluster import APPLY, Cluster
from pluginsandbox.telemetry.operator_metrics import OperatorMetrics
from tests.bench import subject, table
from tests.bench.arrivals import Load, Result
from tests.bench.kwok import KwokPlane, make_nodes, resident_mib
from tests.bench.subject import Subject
from tests.integration.operator.bed import ACCOUNT, eventually
from tests.integration.operator.control_plane import free_port

RATES = (5.0, 10.0, 20.0, 30.0, 40.0)
SECONDS = 20
MOST = 1000
FILL_RATE = 8.0
"""How fast objects are made up to the most, once a rate was not held."""
SETTLE_SECONDS = 300.0
SETTINGS = {"hostImage": "none", "operator": {"namespace": "default"}}


@dataclasses.dataclass
class Cost:
    """What the operator itself took.

    Args:
        cpu: Seconds of CPU for each object.
        mib: Resident memory at the end.
        objects: How many there were then.
        catch_up: Seconds from a restart until nothing is left to do.
        writes: What the restarted operator wrote meanwhile.
        last_write: Seconds from an object's making to the write of its Deployment.

    """

    cpu: float
    mib: float
    objects: int
    catch_up: float
    writes: int
    last_write: float


async def main(files: Sequence[Path], rates: Sequence[float], most: int) -> None:
    """Put each subject through its rates and publish the table."""
    rows = []
    for path in files:
        with tempfile.TemporaryDirectory(prefix="bench-") as folder:
            told = subject.read(path)
            results, cost = await _measure(told, Path(folder), rates, most)
            rows += _rows(told, results, cost)
    heads = ("what", "rate", "P50 ms", "P90 ms", "P99 ms", "held")
    table.publish("control", table.markdown(heads, rows))


async def _measure(
    told: Subject, folder: Path, rates: Sequence[float], most: int
) -> tuple[list[Result], Cost | None]:
    plane = KwokPlane(folder)
    try:
        await asyncio.to_thread(plane.start)
        api = Cluster(await connection.connect(plane.kubeconfig), OperatorMetrics())
        context = ssl.create_default_context(cafile=str(folder / "pki" / "apiserver.crt"))
        connector = aiohttp.TCPConnector(ssl=context)
        timeout = aiohttp.ClientTimeout(total=None)
        try:
            async with aiohttp.ClientSession(
                connector=connector, timeout=timeout, read_bufsize=1 << 22
            ) as session:
                await _prepare(api, told)
                load = Load(api, session, told, "default")
                return await _with_operator(told, plane, load, rates, most)
        finally:
            await api.close()
    finally:
        plane.stop()


async def _prepare(api: Cluster, told: Subject) -> None:
    await make_nodes(api)
    await eventually("the account", lambda: api.get(ACCOUNT, "default", "default"))
    for manifest in told.install:
        group, _, version = manifest["apiVersion"].rpartition("/")
        plural = manifest["kind"].lower() + "s"
        kind = kinds.Kind(manifest["kind"], group, version, plural, manifest["kind"] == "ConfigMap")
        path = kind.path("default", manifest["metadata"]["name"])
        query = {"fieldManager": "bench", "force": "true"}
        await api._insist("PATCH", path, query, manifest, APPLY)

    async def served() -> bool:
        path = f"{told.path}/namespaces/default/{told.plural}"
        with contextlib.suppress(Exception):
            await api._insist("GET", path, {"limit": "1"})
            return True
        return False

    await eventually("the kind", served)


async def _with_operator(
    told: Subject, plane: KwokPlane, load: Load, rates: Sequence[float], most: int
) -> tuple[list[Result], Cost | None]:
    if not told.command:
        return await _rates(load, rates, most), None
    async with _running(told, plane) as (pid, port):
        await _caught_up(port)
        before = _cpu(pid)
        results = await _rates(load, rates, most)
        objects = sum(len(each.seconds) for each in results)
        cpu = (_cpu(pid) - before) / objects
        if objects < most:
            await load.run(FILL_RATE, most - objects, patience=SETTLE_SECONDS)
            objects = most
        mib = resident_mib(pid)
    written = len(_operator_writes(plane.audit_log))
    began = time.monotonic()
    async with _running(told, plane) as (_, port):
        await _caught_up(port, objects)
        catch_up = time.monotonic() - began
        await asyncio.sleep(2)
    log = _operator_writes(plane.audit_log)
    return results, Cost(cpu, mib, objects, catch_up, len(log) - written, _last_write(plane))


async def _rates(load: Load, rates: Sequence[float], most: int) -> list[Result]:
    results: list[Result] = []
    for rate in rates:
        left = most - sum(len(each.seconds) for each in results)
        number = min(left, round(rate * SECONDS))
        if number < rate * 5:
            break
        results.append(await load.run(rate, number))
        last = results[-1]
        print(f"{rate:g}/s: P50 {last.percentile(0.5):.3f} s, held {last.held}", file=sys.stderr)
        if not last.held:
            break
    return results


@contextlib.asynccontextmanager
async def _running(told: Subject, plane: KwokPlane) -> AsyncIterator[tuple[int, int]]:
    """Run the subject's operator."""
    port = free_port()
    config = plane.folder / "operator.yaml"
    config.write_text(yaml.safe_dump(SETTINGS))
    words = {"KUBECONFIG": str(plane.kubeconfig), "CONFIG": str(config), "PORT": str(port)}
    command = [words.get(word, word) for word in told.command]
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    with (plane.folder / "operator.log").open("ab") as log:
        process = await asyncio.create_subprocess_exec(
            *command, stdout=log, stderr=log, env={**os.environ, "PATH": path}
        )
    try:
        yield process.pid, port
    finally:
        process.terminate()
        await asyncio.wait_for(process.wait(), 30)


async def _caught_up(port: int, objects: int = 0) -> None:
    """Wait until an operator of ours leads and has looked at every object; others are given 3 s."""
    async with aiohttp.ClientSession() as session:

        async def done() -> bool:
            with contextlib.suppress(aiohttp.ClientError):
                async with session.get(f"http://127.0.0.1:{port}/metrics") as answer:
                    values = _samples(await answer.text())
                looked = values.get(
                    'pluginsandbox_reconcile_duration_seconds_count{outcome="success"}', 0
                )
                leads = values.get("pluginsandbox_leader", 0) == 1
                idle = values.get("pluginsandbox_queue_depth", 1) == 0
                return leads and idle and looked >= objects
            return False

        with contextlib.suppress(TimeoutError):
            await eventually("the operator", done, seconds=60)


def _samples(text: str) -> dict[str, float]:
    lines = (line.rpartition(" ") for line in text.splitlines() if not line.startswith("#"))
    return {name: float(value) for name, _, value in lines}


def _cpu(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _audit(log: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in log.read_text().splitlines()]


def _operator_writes(log: Path) -> list[dict[str, Any]]:
    return [
        each
        for each in _audit(log)
        if each.get("userAgent") == kinds.FIELD_MANAGER
        and (each.get("objectRef") or {}).get("resource") not in {"leases", "events"}
    ]


def _last_write(plane: KwokPlane) -> float:
    """Return the median time from the making of an object to the write of its Deployment."""
    made: dict[str, dt.datetime] = {}
    spans = []
    for each in _audit(plane.audit_log):
        at = each.get("objectRef") or {}
        moment = dt.datetime.fromisoformat(each["stageTimestamp"])
        if at.get("resource") == kinds.SANDBOX.plural and each["verb"] == "create":
            name = each["requestURI"]
            made[str(at.get("name") or name)] = moment
        elif at.get("resource") == "deployments" and at.get("name") in made:
            spans.append((moment - made.pop(at["name"])).total_seconds())
    return statistics.median(spans) if spans else 0.0


def _rows(told: Subject, results: list[Result], cost: Cost | None) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = [
        (
            told.name,
            f"{each.rate:g}/s",
            *(f"{each.percentile(share) * 1000:.0f}" for share in (0.5, 0.9, 0.99)),
            "yes" if each.held else "no",
        )
        for each in results
    ]
    if cost is not None:
        facts = (
            f"operator: {cost.cpu * 1000:.1f} ms of CPU for each",
            f"{cost.mib:.0f} MiB at {cost.objects}",
            f"restart caught up in {cost.catch_up:.1f} s with {cost.writes} writes",
            f"from making to the Deployment's write {cost.last_write * 1000:.0f} ms (median)",
        )
        rows.append(("; ".join(facts), "", "", "", "", ""))
    return rows


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="make bench-control", description=__doc__)
    defaults = [subject.FOLDER / "floor.yaml", subject.FOLDER / "pluginsandbox.yaml"]
    parser.add_argument("subjects", nargs="*", type=Path, default=defaults, help="YAML files")
    parser.add_argument("--most", type=int, default=MOST, help="objects of each subject")
    parser.add_argument("--rates", nargs="*", type=float, default=RATES, help="arrivals a second")
    given = parser.parse_args()
    asyncio.run(main(given.subjects, given.rates, given.most))
