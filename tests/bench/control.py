"""`make bench-control`: many objects through the control plane, ours beside the floor."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

from pluginsandbox.controller import connection, kinds
from pluginsandbox.controller.cluster import APPLY, Cluster
from pluginsandbox.telemetry.operator_metrics import OperatorMetrics
from tests.bench import control_rows, operators, subject, table
from tests.bench.arrivals import Load
from tests.bench.control_rows import Measured, Restart
from tests.bench.kwok import KwokPlane, make_nodes, stub_hosts
from tests.bench.operators import LOOKED, Running
from tests.bench.subject import Subject
from tests.integration.operator.bed import ACCOUNT, eventually

RATES = (5.0, 10.0, 20.0)
SECONDS = 20
SEARCH_SECONDS = 12
SEARCH_STEPS = 5
GROWTH = 1.6
"""While every rate is held, the next one is so much higher."""
MOST = 1000
AT_REST = 200
FIRST = 5
"""Made before anything is measured: the API server takes seconds over the first of a new kind."""
STILL_SECONDS = 5.0


async def compare(files: Sequence[Path], rates: Sequence[float], most: Sequence[int]) -> None:
    """Put each subject through its rates and restarts, and publish the table."""
    measured = []
    for path in files:
        told = subject.read(path)
        async with _bench(told) as (plane, load):
            measured.append(await _measure(told, plane, load, rates, most))
    table.publish("control", control_rows.markdown(measured))


async def rest(path: Path, minutes: float, number: int) -> None:
    """Count what the operator does while nothing happens, and publish it."""
    told = subject.read(path)
    async with _bench(told) as (plane, load), operators.running(told, plane) as operator:
        await operator.caught_up()
        await load.fill(number)
        written = await _still(plane)
        looked, cpu = (await operator.metrics())[LOOKED], operator.cpu_seconds
        table.progress(f"{number} objects at rest for {minutes:g} minutes")
        await asyncio.sleep(minutes * 60)
        looks = (await operator.metrics())[LOOKED] - looked
        rows = (
            ("sandboxes", f"{number}"),
            ("minutes", f"{minutes:g}"),
            ("reconciles, by resync alone", f"{looks:.0f}"),
            ("writes at the API server", f"{len(operators.writes(plane.audit_log)) - written}"),
            (
                "operator, share of one core",
                f"{(operator.cpu_seconds - cpu) / minutes / 0.6:.1f} %",
            ),
            ("operator, resident MiB", f"{operator.mib:.0f}"),
        )
    table.publish("control-rest", table.markdown(("what", "figure"), rows))


async def _still(plane: KwokPlane) -> int:
    """Return the number of writes once it does not grow any more."""
    before, now = -1, 0
    while before != now:
        await asyncio.sleep(STILL_SECONDS)
        before, now = now, len(operators.writes(plane.audit_log))
    return now


@contextlib.asynccontextmanager
async def _bench(told: Subject) -> AsyncIterator[tuple[KwokPlane, Load]]:
    async with installed(told) as (plane, load), stub_hosts(told.plugins):
        yield plane, load


@contextlib.asynccontextmanager
async def installed(told: Subject) -> AsyncIterator[tuple[KwokPlane, Load]]:
    """Run a control plane with nodes and the subject's kind, where no host answers yet."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        plane = KwokPlane(Path(folder))
        try:
            await asyncio.to_thread(plane.start)
            api = Cluster(await connection.connect(plane.kubeconfig), OperatorMetrics())
            try:
                await _prepare(api, told)
                yield plane, Load(api, told, "default")
            finally:
                await api.close()
        finally:
            plane.stop()


async def _prepare(api: Cluster, told: Subject) -> None:
    """Make nodes, and install what the subject needs."""
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


async def _measure(
    told: Subject, plane: KwokPlane, load: Load, rates: Sequence[float], most: Sequence[int]
) -> Measured:
    measured = Measured(told.name)
    if not told.command:
        await load.fill(FIRST)
        await _rates(measured, load, rates, None)
        await _search(measured, load, None)
        return measured
    async with operators.running(told, plane) as operator:
        await operator.caught_up()
        await load.fill(FIRST)
        await _rates(measured, load, rates, operator)
    slow = {name for each in measured.results if each.rate <= 10 for name in each.names}
    measured.last_write = operators.last_write_seconds(plane.audit_log, slow)
    for number in most[:1]:  # before the search makes more of them
        measured.restarts.append(await _restart(told, plane, load, number))
    async with operators.running(told, plane) as operator:
        await operator.caught_up(load.made)
        await _search(measured, load, operator)
    for number in most[1:]:
        measured.restarts.append(await _restart(told, plane, load, number))
    return measured


async def _restart(told: Subject, plane: KwokPlane, load: Load, number: int) -> Restart:
    async with operators.running(told, plane) as operator:
        table.progress(f"{told.name}: up to {number}")
        await load.fill(number)
        written = await _still(plane)
        mib = operator.mib
    began = time.monotonic()
    async with operators.running(told, plane) as operator:
        await operator.caught_up(load.made)
        seconds = time.monotonic() - began
        await asyncio.sleep(STILL_SECONDS)
        mib = max(mib, operator.mib)
    writes = len(operators.writes(plane.audit_log)) - written
    return Restart(load.made, mib, seconds, writes)


async def _rates(
    measured: Measured, load: Load, rates: Sequence[float], operator: Running | None
) -> None:
    """Try rates until one is not held, but the one that is compared in any case."""
    for rate in rates:
        for _ in range(control_rows.ROUNDS if rate == control_rows.COMPARED else 1):
            await _try(measured, load, rate, SECONDS, operator)
        if rate >= control_rows.COMPARED and not measured.results[-1].held:
            break


async def _search(measured: Measured, load: Load, operator: Running | None) -> None:
    """Try rates in between or above for the highest that is held."""
    for _ in range(SEARCH_STEPS):
        held = max((each.rate for each in measured.results if each.held), default=0.0)
        lost = min(
            (each.rate for each in measured.results if not each.held and each.rate > held),
            default=0.0,
        )
        rate = (held + lost) / 2 if lost else held * GROWTH
        await _try(measured, load, round(rate, 1), SEARCH_SECONDS, operator)


async def _try(
    measured: Measured, load: Load, rate: float, seconds: int, operator: Running | None
) -> None:
    before = operator.cpu_seconds if operator else 0.0
    result = await load.run(rate, round(rate * seconds))
    measured.results.append(result)
    if operator:
        measured.cpu.append((operator.cpu_seconds - before) / len(result.seconds))
    held = "held" if result.held else "not held"
    p50, p99 = result.percentile(0.5), result.percentile(0.99)
    table.progress(f"{measured.name}: {rate:g}/s {held}, P50 {p50:.3f} s, P99 {p99:.3f} s")


def main() -> None:
    """Read the options and run."""
    parser = argparse.ArgumentParser(prog="make bench-control", description=__doc__)
    ours = subject.FOLDER / "pluginsandbox.yaml"
    defaults = [subject.FOLDER / "floor.yaml", ours]
    parser.add_argument("subjects", nargs="*", type=Path, default=defaults, help="YAML files")
    parser.add_argument(
        "--most", nargs="*", type=int, default=[MOST], help="objects to restart with, ascending"
    )
    parser.add_argument("--rates", nargs="*", type=float, default=RATES, help="arrivals a second")
    parser.add_argument("--rest", type=float, default=0.0, help="minutes at rest, instead of all")
    parser.add_argument("--at-rest", type=int, default=AT_REST, help="sandboxes at rest")
    given = parser.parse_args()
    if given.rest:
        asyncio.run(rest(ours, given.rest, given.at_rest))
    else:
        asyncio.run(compare(given.subjects, given.rates, given.most))


if __name__ == "__main__":
    main()
