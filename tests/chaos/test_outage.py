"""The control plane dies, or the way to it: the operator acts while it may, and then goes on."""

from __future__ import annotations

import asyncio
import datetime as dt
import signal
from pathlib import Path
from typing import Any

import pytest

from pluginsandbox.controller import kinds
from pluginsandbox.controller.clocks import Clocks
from pluginsandbox.controller.lease import LeaseTimes
from pluginsandbox.controller.operator import Operator
from tests.chaos import long
from tests.chaos.incarnation import AsProcess
from tests.chaos.provoke import provoked
from tests.chaos.proxy import Proxy
from tests.chaos.record import Call
from tests.chaos.rules import Rule
from tests.chaos.upstream import Upstream
from tests.integration.operator.bed import Bed, eventually, sandbox, source
from tests.integration.operator.control_plane import ControlPlane

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(180)]

QUICK = LeaseTimes(duration=6, deadline=4, retry=0.5)
HOUR = dt.timedelta(hours=1)


async def up(bed: Bed) -> None:
    await bed.put(source())
    await bed.put(sandbox())
    await bed.until("Ready", "True", seconds=60)


@pytest.mark.parametrize("name", ["etcd", "kube-apiserver"])
async def test_killed_and_back_the_control_plane_finds_the_operator_at_work(
    bed: Bed, plane: ControlPlane, name: str
) -> None:
    async with bed.operator() as operator:
        await up(bed)
        before = await bed.get(kinds.DEPLOYMENT)
        plane.kill(name)
        try:
            for key in operator.store.sandboxes():
                operator.queue.add(key)
            await asyncio.sleep(2)  # what it tries meanwhile fails
        finally:
            plane.spawn(name)
            await asyncio.to_thread(plane.wait_ready)
        await bed.put(sandbox(operatingMode="Suspended"))
        await bed.until("Ready", "True", "Suspended", seconds=60)
        assert not operator._stopping
    after = await bed.get(kinds.DEPLOYMENT)
    assert before is not None
    assert after is not None
    assert after["metadata"]["generation"] == before["metadata"]["generation"] + 1


def repairs(proxy: Proxy) -> list[Call]:
    return [each for each in proxy.record.writes() if each.kind == "networkpolicies"]


def acquired(proxy: Proxy) -> list[Call]:
    calls = (each for each in proxy.record.writes(lease=True) if each.kind == "leases")
    return [each for each in calls if each.status in {200, 201}]


def hurry(operator: Operator) -> None:
    operator.lease._times = QUICK


async def test_cut_off_from_its_lease_it_stops_writing_before_another_starts(
    bed: Bed, upstream: Upstream
) -> None:
    async with (
        Proxy(upstream).run() as first,
        Proxy(upstream).run() as second,
        bed.operator(kubeconfig=first.kubeconfig) as leader,
    ):
        hurry(leader)
        await up(bed)
        async with bed.operator(kubeconfig=second.kubeconfig) as other, provoked(bed):
            hurry(other)
            await eventually("repairs", lambda: _true(repairs(first)))
            first.script.add(Rule(act="hold", kind="leases", times=None))
            await eventually("the other's repairs", lambda: _true(repairs(second)), seconds=60)
            last, renewed = repairs(first)[-1], acquired(first)[-1]
            assert last.at < acquired(second)[0].at, "nobody else held the Lease yet"
            assert last.at - renewed.at < QUICK.duration, "it stopped by its own clock"
            assert len(repairs(first)) > 1, "it could have gone on: only the Lease was cut"
            first.cut()


async def _true(found: Any) -> bool:
    return bool(found)


@long
async def test_stopped_and_continued_a_leader_makes_at_most_the_request_in_flight(
    bed: Bed, upstream: Upstream
) -> None:
    async with Proxy(upstream).run() as first, Proxy(upstream).run() as second:
        leader = AsProcess(first.kubeconfig, bed.namespace, bed.settings)
        await leader.start()
        try:
            await up(bed)
            async with provoked(bed):
                await eventually("repairs", lambda: _true(repairs(first)))
                leader.signal(signal.SIGSTOP)
                async with bed.operator(kubeconfig=second.kubeconfig) as other:
                    await asyncio.wait_for(other.lease.wait_held(), 60)
                    await eventually("the other's repairs", lambda: _true(repairs(second)))
                    before = len(first.record.calls)
                    leader.signal(signal.SIGCONT)
                    await eventually("its requests", lambda: _asks(first, before))
                    await asyncio.sleep(3)  # it provably runs, and must not write
                    late = [each for each in first.record.calls[before:] if each.writes]
                    assert len([each for each in late if each.kind != "leases"]) <= 1, late
                    assert other.lease.held, "nor does it take the Lease back"
        finally:
            leader.kill()
            await leader.end()


async def _asks(proxy: Proxy, before: int) -> bool:
    return len(proxy.record.calls) > before


@pytest.mark.parametrize("jump", [HOUR, -HOUR], ids=["forward", "back"])
async def test_a_clock_that_is_set_by_an_hour_is_no_trouble(
    bed: Bed, upstream: Upstream, tmp_path: Path, jump: dt.timedelta
) -> None:
    ahead = dt.timedelta(0)
    clocks = Clocks(wall=lambda: dt.datetime.now(dt.UTC) + ahead)
    bed.kubelet.ready = False
    async with bed.operator(clocks=clocks) as operator:
        await bed.put(source())
        await bed.put(sandbox())
        await bed.until("Reconciling", "True", "RollingOut")
        ahead = jump
        for key in operator.store.sandboxes():
            operator.queue.add(key)
        await bed.put(sandbox(contexts={"idleTimeoutSeconds": 77}))
        await bed.until("Reconciling", "True", "RollingOut")
        assert not await bed.events(), "nothing timed out"
        bed.kubelet.ready = True
        await bed.until("Ready", "True", "Available")
        assert operator.lease.held
