"""Whatever goes wrong between the operator and the API server, the sandbox comes up, once."""

from __future__ import annotations

import asyncio
import itertools
from typing import Any

import kopf
import pytest

from pluginsandbox.controller import cluster, informer, kinds, kopf_watch
from pluginsandbox.controller.kopf_settings import watch_only
from tests.chaos import long
from tests.chaos.proxy import Proxy
from tests.chaos.rules import Rule
from tests.integration.operator.bed import SANDBOX, Bed, eventually, sandbox, source

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(180)]

CHILDREN = (kinds.CONFIG_MAP, kinds.NETWORK_POLICY, kinds.SERVICE, kinds.DEPLOYMENT)
WRITES = "apply patch"
FAULTS = {
    "answers are late": Rule(act="delay", seconds=0.5, times=6),
    "connections break before a write arrives": Rule(act="reset before", verb=WRITES, times=4),
    "connections break before a write is answered": Rule(act="reset after", verb=WRITES, times=4),
    "writes conflict": Rule(act="answer", verb=WRITES, code=409, times=4),
    "the server fails": Rule(act="answer", code=500, times=8),
    "the server is away": Rule(act="answer", code=503, times=8),
    "watches are closed": Rule(act="close", verb="watch", times=12),
    "the server forgot where a watch was": Rule(act="gone", verb="watch", times=6),
    "events come twice": Rule(act="duplicate", verb="watch", times=None),
    "events come in another order": Rule(
        act="reorder", verb="watch", event="ADDED MODIFIED", times=8
    ),
}


async def up(bed: Bed) -> None:
    await bed.put(source())
    await bed.put(sandbox())
    await bed.until("Ready", "True", seconds=60)
    await bed.until("PluginsLoaded", "True", seconds=60)


QUICK = (
    "connections break before a write is answered",
    "writes conflict",
    "the server is away",
    "the server forgot where a watch was",
    "events come in another order",
)


@pytest.mark.parametrize(
    "fault", [pytest.param(name, marks=() if name in QUICK else long) for name in FAULTS]
)
async def test_a_sandbox_comes_up_although(bed: Bed, proxy: Proxy, fault: str) -> None:
    proxy.script.add(FAULTS[fault])
    async with bed.operator(kubeconfig=proxy.kubeconfig):
        await up(bed)
        assert proxy.script.used(FAULTS[fault].act) > 0, "the fault came about"
    for kind in CHILDREN:
        assert len(await bed.find(kind)) == 1, kind.name
    live = await bed.get(kinds.DEPLOYMENT)
    assert live is not None
    assert live["metadata"]["generation"] == 1, "made once, never changed"


async def test_a_server_that_asks_to_wait_is_obeyed(bed: Bed, proxy: Proxy) -> None:
    rule = Rule(act="answer", verb="apply", kind="deployments", code=429, retry_after=2, times=2)
    proxy.script.add(rule)
    async with bed.operator(kubeconfig=proxy.kubeconfig):
        await up(bed)
    tries = [each.at for each in proxy.record if each.what == "apply deployments"]
    waits = [later - earlier for earlier, later in itertools.pairwise(tries)]
    assert all(wait >= 2 for wait in waits[:2]), waits


async def test_a_watch_that_says_nothing_is_noticed(
    bed: Bed, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    def impatient() -> kopf.OperatorSettings:
        settings = watch_only()
        settings.watching.inactivity_timeout = 2
        return settings

    monkeypatch.setattr(kopf_watch, "watch_only", impatient)
    monkeypatch.setattr(cluster, "SILENCE_SECONDS", 2)
    async with bed.operator(kubeconfig=proxy.kubeconfig) as operator:
        await operator.watch.synced.wait()
        proxy.script.add(Rule(act="silent", verb="watch", times=None))
        await bed.put(source())
        await bed.put(sandbox())
        await asyncio.sleep(0.5)  # the events are swallowed meanwhile
        assert not await bed.status()
        proxy.script.clear()
        await bed.until("Ready", "True", seconds=30)


async def test_a_watch_that_ends_is_taken_up_where_it_was(bed: Bed, proxy: Proxy) -> None:
    async with bed.operator(kubeconfig=proxy.kubeconfig):
        await up(bed)
        before = [each.what for each in proxy.record].count("watch services")
        proxy.script.add(Rule(act="silent", verb="watch", kind="services", times=None))
        await asyncio.sleep(0.2)
        await bed.drop(kinds.SERVICE)
        proxy.script.clear()
        proxy.script.add(Rule(act="close", verb="watch", kind="services"))
        await eventually("the Service again", lambda: bed.get(kinds.SERVICE))
        asked = [each.what for each in proxy.record]
        assert asked.count("watch services") > before
        assert asked.count("list services") == 1, "nothing had to be listed again"


async def test_lost_events_are_made_good_by_the_next_list(
    bed: Bed, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(informer, "RELIST_SECONDS", 1.0)
    proxy.script.add(Rule(act="lose", verb="watch", event="ADDED MODIFIED DELETED", times=None))
    async with bed.operator(kubeconfig=proxy.kubeconfig):
        await up(bed)
        await bed.drop(kinds.SERVICE)
        await eventually("the Service again", lambda: bed.get(kinds.SERVICE))


async def test_what_went_while_the_server_forgot_the_watch_is_noticed(
    bed: Bed, proxy: Proxy
) -> None:
    async with bed.operator(kubeconfig=proxy.kubeconfig):
        await up(bed)
        silence = Rule(act="silent", verb="watch", kind="services", times=None)
        proxy.script.add(silence)
        await asyncio.sleep(0.2)
        await bed.drop(kinds.SERVICE)
        proxy.script.clear()
        proxy.script.add(Rule(act="gone", verb="watch", kind="services"))

        async def back() -> Any:
            return await bed.get(kinds.SERVICE, SANDBOX)

        await eventually("the Service again", back, seconds=10)
