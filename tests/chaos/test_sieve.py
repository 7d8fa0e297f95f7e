"""The patterns of Sieve (OSDI '22): what an operator does on a view that is not the present one.

Its first pattern, a crash between two writes, is `test_kills`.
"""

from __future__ import annotations

import asyncio

import pytest

from pluginsandbox.controller import kinds
from tests.chaos import long
from tests.chaos.proxy import Proxy
from tests.chaos.rules import Rule
from tests.chaos.upstream import Upstream
from tests.integration.operator.bed import SANDBOX, Bed, eventually, sandbox, source

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(180)]

CHILDREN = (kinds.CONFIG_MAP, kinds.NETWORK_POLICY, kinds.SERVICE, kinds.DEPLOYMENT)
OTHERS = {"podSelector": {"matchLabels": {"app": "caller"}}}
SILENCE = Rule(act="silent", verb="watch", times=None)
CATCH_UP = Rule(act="gone", verb="watch", times=len(kinds.WATCHED))


async def up(bed: Bed) -> None:
    await bed.put(source())
    await bed.put(sandbox())
    await bed.until("Ready", "True", seconds=60)


async def test_what_is_made_is_not_looked_for_and_its_fields_can_be_taken_away_again(
    bed: Bed, proxy: Proxy
) -> None:
    async with bed.operator(kubeconfig=proxy.kubeconfig):
        await up(bed)
        looks = {each.what for each in proxy.record if each.verb == "get"}
        assert looks <= {"get leases", "get configmaps"}, "the files of the source alone"
        for kind in CHILDREN:
            (child,) = await bed.find(kind)
            fields = child["metadata"]["managedFields"]
            ours = [each for each in fields if each["manager"] == kinds.FIELD_MANAGER]
            assert [each["operation"] for each in ours] == ["Apply"], kind.name
        await bed.put(sandbox(network={"allowFrom": [OTHERS]}))
        await eventually("the peer", lambda: _peers(bed, 1))
        await bed.put(sandbox())
        await eventually("no such peer any more", lambda: _peers(bed, 0))


async def _peers(bed: Bed, number: int) -> bool:
    live = await bed.get(kinds.NETWORK_POLICY)
    return live is not None and str(live["spec"]).count("caller") == number


async def test_a_stranger_is_met_by_the_write_and_looked_at_until_it_is_gone(
    bed: Bed, proxy: Proxy
) -> None:
    theirs = {"metadata": {"name": SANDBOX}, "spec": {"ports": [{"port": 80}]}}
    made = await bed.write("POST", kinds.SERVICE.path(bed.namespace), theirs)
    async with bed.operator(kubeconfig=proxy.kubeconfig):
        await bed.put(source())
        await bed.put(sandbox())
        await bed.until("Stalled", "True", "NameConflict", seconds=30)
        live = await bed.get(kinds.SERVICE)
        assert live is not None
        assert live["metadata"]["resourceVersion"] == made["metadata"]["resourceVersion"]
        tried = [each for each in proxy.record if each.what == "apply services"]
        assert len(tried) == 1, "no write is tried again while the stranger is there"
        await bed.drop(kinds.SERVICE)
        await bed.until("Ready", "True", seconds=60)


@long
async def test_unobserved_a_successor_of_the_same_name_gets_children_of_its_own(
    bed: Bed, proxy: Proxy
) -> None:
    async with bed.operator(kubeconfig=proxy.kubeconfig):
        await up(bed)
        proxy.script.add(SILENCE)
        await asyncio.sleep(0.2)
        await bed.drop(kinds.SANDBOX)
        await bed.put(sandbox(contexts={"idleTimeoutSeconds": 77}))
        proxy.script.clear()
        proxy.script.add(CATCH_UP)
        await bed.until("Ready", "True", seconds=60)
        successor = await bed.get(kinds.SANDBOX)
        assert successor is not None

        async def all_its_own() -> bool:
            owners = [
                each["metadata"]["ownerReferences"][0]["uid"]
                for kind in CHILDREN
                for each in await bed.find(kind)
            ]
            return owners == [successor["metadata"]["uid"]] * len(CHILDREN)

        await eventually("children of the successor alone", all_its_own, seconds=60)


async def test_unobserved_a_source_that_changed_twice_is_rolled_out_once(
    bed: Bed, proxy: Proxy
) -> None:
    async with bed.operator(kubeconfig=proxy.kubeconfig):
        await up(bed)
        proxy.script.add(SILENCE)
        await asyncio.sleep(0.2)
        await bed.put(source(text="a = 2\n"))
        await bed.put(source(text="a = 3\n"))
        proxy.script.clear()
        proxy.script.add(CATCH_UP)

        async def newest() -> bool:
            snapshots = await bed.find(kinds.CONFIG_MAP)
            return [each["data"]["counter.counter.py"] for each in snapshots] == ["a = 3\n"]

        await eventually("only the newest snapshot", newest, seconds=60)
        live = await bed.get(kinds.DEPLOYMENT)
        assert live is not None
        assert live["metadata"]["generation"] == 2, "one roll-out"


async def test_unobserved_a_stranger_of_the_same_name_is_not_taken_over(
    bed: Bed, proxy: Proxy
) -> None:
    async with bed.operator(kubeconfig=proxy.kubeconfig):
        await up(bed)
        proxy.script.add(Rule(act="silent", verb="watch", kind="networkpolicies", times=None))
        await asyncio.sleep(0.2)
        await bed.drop(kinds.NETWORK_POLICY)
        theirs = {"metadata": {"name": SANDBOX}, "spec": {"podSelector": {}}}
        path = kinds.NETWORK_POLICY.path(bed.namespace)
        made = await bed.write("POST", path, theirs)
        await bed.put(sandbox(network={"allowFrom": [OTHERS]}))
        await bed.until("Stalled", "True", "NameConflict", seconds=30)
        live = await bed.get(kinds.NETWORK_POLICY)
        assert live is not None
        assert live["metadata"]["resourceVersion"] == made["metadata"]["resourceVersion"]


async def test_stale_an_operator_that_wakes_up_in_the_past_undoes_nothing(
    bed: Bed, upstream: Upstream
) -> None:
    async with Proxy(upstream).run() as proxy, bed.operator(kubeconfig=proxy.kubeconfig):
        await up(bed)
        await proxy.photograph()
        past = proxy.past
        await bed.put(sandbox(operatingMode="Suspended"))
        await bed.until("Ready", "True", "Suspended", seconds=60)
    before = await bed.get(kinds.DEPLOYMENT)
    assert before is not None
    async with Proxy(upstream).run() as proxy:
        proxy.past = past
        proxy.script.add(Rule(act="stale", verb="list", times=None), SILENCE)
        async with bed.operator(kubeconfig=proxy.kubeconfig) as operator:
            await asyncio.wait_for(operator.watch.synced.wait(), 30)
            await asyncio.wait_for(operator.lease.wait_held(), 30)
            assert proxy.script.used("stale") >= len(kinds.WATCHED)
            await asyncio.sleep(1)  # it acts on the past, if it will
            proxy.script.clear()
            proxy.script.add(CATCH_UP)
            await bed.until("Ready", "True", "Suspended", seconds=60)
    after = await bed.get(kinds.DEPLOYMENT)
    assert after is not None
    assert after["metadata"]["generation"] == before["metadata"]["generation"]
    assert not [each for each in await bed.find(kinds.POD) if "deletionTimestamp" not in each]


async def test_stale_a_deleted_sandbox_does_not_come_back_to_life(
    bed: Bed, upstream: Upstream
) -> None:
    async with Proxy(upstream).run() as proxy, bed.operator(kubeconfig=proxy.kubeconfig):
        await up(bed)
        await proxy.photograph()
        past = proxy.past
        await bed.drop(kinds.SANDBOX)

        async def gone() -> bool:
            return not any([await bed.find(kind) for kind in (*CHILDREN, kinds.POD)])

        await eventually("no children", gone, seconds=60)
    async with Proxy(upstream).run() as proxy:
        proxy.past = past
        proxy.script.add(Rule(act="stale", verb="list", times=None), SILENCE)
        async with bed.operator(kubeconfig=proxy.kubeconfig) as operator:
            await asyncio.wait_for(operator.watch.synced.wait(), 30)
            await asyncio.wait_for(operator.lease.wait_held(), 30)
            await asyncio.sleep(1)  # it acts on the past, if it will
            proxy.script.clear()
            proxy.script.add(CATCH_UP)
            await eventually("no children", gone, seconds=60)
