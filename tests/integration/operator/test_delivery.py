"""What delivery tools that apply on the server's side find: never a difference by our doing.

Argo CD's server-side diff and Flux's kustomize-controller both apply what Git holds as a dry run
and hold the answer against the live object.
"""

from __future__ import annotations

import copy
from typing import Any

import pytest

from pluginsandbox.controller import kinds
from pluginsandbox.controller.cluster import APPLY, MERGE
from tests.integration.operator.bed import SANDBOX, Bed, Body, eventually, sandbox, source
from tests.integration.operator.policy import POLICY, pods

pytestmark = pytest.mark.cluster

TOOLS = ("argocd-controller", "kustomize-controller")


async def deliver(bed: Bed, tool: str, body: Body, **query: str) -> Body:
    """Apply what Git holds as a delivery tool does."""
    namespaced = {**body, "metadata": {**body["metadata"], "namespace": bed.namespace}}
    path = kinds.SANDBOX.path(bed.namespace, body["metadata"]["name"])
    return await bed.write(
        "PATCH", path, namespaced, APPLY, fieldManager=tool, force="true", **query
    )


async def difference(bed: Bed, tool: str, body: Body) -> tuple[Body, Body] | None:
    """Return the live object and what a dry run would make of it, or None when they are equal."""
    while True:
        before = await bed.get(kinds.SANDBOX)
        dry = await deliver(bed, tool, body, dryRun="All")
        live = await bed.get(kinds.SANDBOX)
        if before == live:  # else its status was written in between
            break
    assert live is not None
    pair = [copy.deepcopy(each) for each in (live, dry)]
    for each in pair:
        each["metadata"].pop("managedFields")
        each["metadata"].pop("resourceVersion")
    return None if pair[0] == pair[1] else (pair[0], pair[1])


@pytest.mark.parametrize("tool", TOOLS)
async def test_scaling_roll_out_and_repair_leave_nothing_to_apply(bed: Bed, tool: str) -> None:
    git = sandbox(scaling=POLICY)
    git["metadata"]["annotations"] = {"pluginsandbox.dev/revision": "abc123"}
    git["metadata"]["labels"] = {"team": "shop"}
    async with bed.operator():
        await bed.put(source())
        await deliver(bed, tool, git)
        await pods(bed, 1)
        for calls, count in ((4, 4), (0, 1)):
            bed.hosts.calls = calls
            await pods(bed, count)
            assert await difference(bed, tool, git) is None
        await bed.put(source(text="a = 2\n"))

        async def rolled_out() -> bool:
            return len(await bed.find(kinds.REPLICA_SET)) == 2

        await eventually("a second ReplicaSet", rolled_out)
        assert await difference(bed, tool, git) is None
        await pods(bed, 1)
        await bed.drop(kinds.SERVICE)

        async def repaired() -> Any:
            return await bed.get(kinds.SERVICE)

        await eventually("the Service again", repaired)
        assert await difference(bed, tool, git) is None


@pytest.mark.parametrize("tool", TOOLS)
async def test_a_number_set_by_hand_is_no_difference_but_where_git_holds_one(
    bed: Bed, tool: str
) -> None:
    git = sandbox(scaling=POLICY)
    async with bed.operator():
        await bed.put(source())
        await deliver(bed, tool, git)
        await pods(bed, 1)
        path = kinds.SANDBOX.path(bed.namespace, SANDBOX)
        await bed.write("PATCH", path, {"spec": {"replicas": 2}}, MERGE)
        await pods(bed, 2)
        assert await difference(bed, tool, git) is None
        held = sandbox(scaling=POLICY, replicas=1)
        assert await difference(bed, tool, held) is not None, "the comparison sees what differs"
        await deliver(bed, tool, git)
        await pods(bed, 2)
