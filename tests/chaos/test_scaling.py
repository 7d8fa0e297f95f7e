"""A step of scaling is made once, and to the same number, whatever happens in the midst of it."""

from __future__ import annotations

import asyncio
import contextlib
import os
from typing import Self

import pytest

from pluginsandbox.controller import kinds
from tests.chaos import long
from tests.chaos.incarnation import AsProcess
from tests.chaos.kills import LEASE, Moment
from tests.chaos.proxy import Proxy
from tests.chaos.record import Call
from tests.chaos.rules import Rule
from tests.chaos.upstream import Upstream
from tests.integration.operator.bed import Bed, eventually, sandbox, source
from tests.integration.operator.policy import POLICY, pods

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(300)]

OUTAGE_SECONDS = 60.0 if os.environ.get("CHAOS") == "long" else 8.0


class Wanted:
    """Every number that the Deployment ever wanted."""

    def __init__(self, bed: Bed) -> None:
        self._bed = bed
        self.numbers: list[int] = []

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._look())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _look(self) -> None:
        while True:
            live = await self._bed.get(kinds.DEPLOYMENT)
            if live is not None and self.numbers[-1:] != [live["spec"]["replicas"]]:
                self.numbers.append(live["spec"]["replicas"])
            await asyncio.sleep(0.02)


async def test_an_api_server_that_is_away_in_mid_surge_delays_the_step_and_no_more(
    bed: Bed, proxy: Proxy
) -> None:
    async with bed.operator(kubeconfig=proxy.kubeconfig):
        await bed.put(source())
        await bed.put(sandbox(scaling=POLICY))
        await pods(bed, 1)
        async with Wanted(bed) as wanted:
            proxy.script.add(
                Rule(act="answer", code=503, times=None), Rule(act="close", verb="watch")
            )
            bed.hosts.calls = 4
            await asyncio.sleep(OUTAGE_SECONDS)  # the outage itself
            assert wanted.numbers == [1]
            proxy.script.clear()
            await pods(bed, 4)
            await bed.until("ScalingActive", "True", "FollowsLoad")
        assert wanted.numbers == [1, 4]


class Doomed:
    """An operator that dies at its next write of a kind, once that is armed.

    Args:
        bed: Its namespace.
        proxy: Its way to the API server.
        write: Verb and kind.
        moment: Before the server gets it, or after it acted on it.

    """

    def __init__(self, bed: Bed, upstream: Upstream, write: str, moment: Moment) -> None:
        self._bed = bed
        self._write, self._moment = write, moment
        self._armed = False
        self._proxy = Proxy(upstream, self._hook)

    async def __aenter__(self) -> Self:
        async with contextlib.AsyncExitStack() as stack:
            await stack.enter_async_context(self._proxy.run())
            if await self._bed.get(kinds.LEASE, LEASE) is not None:
                free = {"spec": {"holderIdentity": ""}}
                await self._bed.api.merge(kinds.LEASE, self._bed.namespace, LEASE, free)
            bed = self._bed
            self._life = AsProcess(self._proxy.kubeconfig, bed.namespace, bed.settings)
            await self._life.start()
            stack.push_async_callback(self._life.end)
            stack.callback(self._life.kill)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def dies(self) -> None:
        """Wait for its death."""

        async def dead() -> bool:
            return self._proxy.dead.is_set()

        self._armed = True
        await eventually("its death", dead, seconds=60)

    async def _hook(self, moment: Moment, call: Call, _: bytes) -> None:
        if self._armed and (moment, call.what) == (self._moment, self._write):
            self._proxy.cut()
            self._life.kill()


WRITES = (
    "apply deployments",
    pytest.param("patch pluginsandboxes/status", marks=long),
    pytest.param("create events", marks=long),
)


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("write", WRITES)
async def test_killed_at_a_write_of_a_step_the_next_leader_ends_it_where_it_would_have(
    bed: Bed, upstream: Upstream, write: str, moment: Moment
) -> None:
    """Up and down; the next one never saw the load change."""
    async with Wanted(bed) as wanted:
        async with Doomed(bed, upstream, write, moment) as first:
            await bed.put(source())
            await bed.put(sandbox(scaling=POLICY))
            await pods(bed, 1)
            bed.hosts.calls = 4
            await first.dies()
        async with Doomed(bed, upstream, write, moment) as second:
            await pods(bed, 4)
            bed.hosts.calls = 0
            await second.dies()
        async with bed.operator():
            await pods(bed, 1)
    assert wanted.numbers == [1, 4, 1]
