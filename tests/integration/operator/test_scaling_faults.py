"""Bad policies, hosts that lie, pods that cannot come, a clock that jumps: where each ends."""

from __future__ import annotations

import asyncio
import datetime as dt
from typing import Any

import pytest

from pluginsandbox.controller import kinds
from pluginsandbox.controller.clocks import Clocks
from pluginsandbox.controller.errors import PermanentError
from pluginsandbox.controller.kinds import Kind
from tests.integration.operator.bed import Bed, Body, eventually, sandbox, source
from tests.integration.operator.policy import POLICY, pods

pytestmark = pytest.mark.cluster

QUOTA = Kind("ResourceQuota", "", "v1", "resourcequotas")
METRIC = {"type": "Concurrency", "target": 1}
SALE = {"name": "sale", "schedule": "0 20 * * *", "durationSeconds": 60, "minReplicas": 2}
REFUSED: tuple[tuple[dict[str, Any], str], ...] = (
    ({"minReplicas": 9}, "maxReplicas must be at least minReplicas"),
    ({"metrics": [METRIC | {"target": 0}]}, "metrics[0].target"),
    ({"metrics": [METRIC | {"target": 1.5}]}, "metrics[0].target"),
    ({"stableWindowSeconds": 0}, "stableWindowSeconds"),
    ({"stableWindowSeconds": 10**9}, "stableWindowSeconds"),
    ({"panicWindowSeconds": 50, "stableWindowSeconds": 20}, "panicWindowSeconds must be at most"),
    ({"scaleDownDelaySeconds": -1}, "scaleDownDelaySeconds"),
    ({"schedules": [SALE | {"minReplicas": 50}]}, "schedules[].minReplicas must be at most"),
)
NAMED = (
    ({"schedule": "0 25 * * *"}, "spec.scaling.schedules[0].schedule: must be a schedule of cron"),
    ({"timeZone": "Mars/Olympus"}, "spec.scaling.schedules[0].timeZone: must be a name of"),
)


async def step(bed: Bed, count: int) -> None:
    """Wait until the Deployment wants so many."""

    async def wanted() -> bool:
        live = await bed.get(kinds.DEPLOYMENT)
        return live is not None and live["spec"]["replicas"] == count

    await eventually(f"{count} wanted", wanted)


async def test_what_no_policy_can_be_is_refused_or_named_and_the_pods_stay(bed: Bed) -> None:
    async with bed.operator():
        await bed.put(source())
        bed.hosts.calls = 4
        await bed.put(sandbox(scaling=POLICY))
        await pods(bed, 4)
        for fields, words in REFUSED:
            with pytest.raises(PermanentError) as refusal:
                await bed.put(sandbox(scaling=POLICY | fields))
            assert words in str(refusal.value)
        for wrong, words in NAMED:
            await bed.put(sandbox(scaling=POLICY | {"schedules": [SALE | wrong]}))
            assert words in await bed.until("Stalled", "True", "SpecInvalid")
            await step(bed, 4)
        bed.hosts.calls = 0
        await bed.put(sandbox(scaling=POLICY))
        await pods(bed, 1)


async def test_a_host_that_hangs_or_lies_counts_as_the_others_do(bed: Bed) -> None:
    await bed.hosts.apart(0, 0, 0, 0)
    first, second, *_ = sorted(bed.hosts.contexts)
    bed.hosts.calls = 4
    async with bed.operator():
        await bed.put(source())
        await bed.put(sandbox(scaling=POLICY))
        await pods(bed, 4)
        bed.hosts.calls = 1
        plain = bed.hosts.stats
        for lie in (b"NaN", b"<html>", b"{}", b'{"samples": 1}', b"x" * 100_000, None):
            bed.hosts.lies = {first: lie, second: lie}  # None: it never answers
            await asyncio.sleep(1.2)  # long enough for a step that must not come
            await pods(bed, 4)
            assert (await bed.condition("ScalingActive"))[0] == "True", lie
        bed.hosts.lies = dict.fromkeys(bed.hosts.contexts)
        message = await bed.until("ScalingActive", "Unknown", "HostsUnreachable")
        assert "there stay 4" in message
        bed.hosts.lies = {}
        assert bed.hosts.stats == plain
        bed.hosts.calls = 0
        await pods(bed, 1)


async def test_pods_that_never_become_ready_bring_no_others(bed: Bed) -> None:
    wide = POLICY | {"maxReplicas": 20}
    async with bed.operator():
        await bed.put(source())
        bed.hosts.calls = 1
        await bed.put(sandbox(scaling=wide))
        await pods(bed, 1)
        bed.kubelet.ready = False
        bed.hosts.calls = 3
        await step(bed, 3)
        await asyncio.sleep(4)  # long enough for a step that must not come
        await step(bed, 3)
        status = await bed.status()
        assert (status["readyReplicas"], status["desiredReplicas"]) == (1, 3)
        assert (await bed.condition("Ready"))[0] == "True", "one is all that minReplicas asks for"
        bed.hosts.calls = 0
        await pods(bed, 1)


async def test_a_quota_stops_growth_says_so_and_growth_goes_on_without_it(bed: Bed) -> None:
    path = QUOTA.path(bed.namespace)
    async with bed.operator():
        await bed.put(source())
        bed.hosts.calls = 1
        await bed.put(sandbox(scaling=POLICY))
        await pods(bed, 1)
        quota: Body = {"metadata": {"name": "few"}, "spec": {"hard": {"pods": "2"}}}
        await bed.write("POST", path, quota)
        bed.hosts.calls = 4

        async def said() -> bool:
            told = f"{await bed.condition('Ready')} {await bed.condition('ScalingActive')}"
            return "exceeded quota: few" in told

        await eventually("the quota in the status", said)
        await asyncio.sleep(2)  # long enough for a step that must not come
        await step(bed, 4)
        status = await bed.status()
        assert status["readyReplicas"] == 2
        await bed.write("DELETE", QUOTA.path(bed.namespace, "few"), {})
        await pods(bed, 4)


@pytest.mark.parametrize("jump", [dt.timedelta(hours=-1), dt.timedelta(hours=1)])
async def test_a_clock_that_jumps_takes_no_pod_away_and_is_got_over(
    bed: Bed, jump: dt.timedelta
) -> None:
    ahead = dt.timedelta(0)

    def wall() -> dt.datetime:
        return dt.datetime.now(dt.UTC) + ahead

    async with bed.operator(clocks=Clocks(wall=wall)):
        await bed.put(source())
        bed.hosts.calls = 4
        await bed.put(sandbox(scaling=POLICY))
        await pods(bed, 4)
        ahead, bed.hosts.calls = jump, 0
        await bed.until("ScalingActive", "Unknown", "HostsUnreachable")
        await pods(bed, 4)
        ahead = dt.timedelta(0)
        await bed.until("ScalingActive", "True", "FollowsLoad")
        await pods(bed, 1)
