"""A sandbox's life under the operator: made, changed, suspended, resumed, deleted, left at rest."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest

from pluginsandbox.controller import kinds
from pluginsandbox.controller.operator import Operator
from pluginsandbox.controller.settings import Settings
from tests.integration.operator.bed import (
    ACCOUNT,
    NOWHERE,
    SANDBOX,
    Bed,
    eventually,
    sandbox,
    source,
)

pytestmark = pytest.mark.cluster

CHILDREN = (kinds.DEPLOYMENT, kinds.SERVICE, kinds.NETWORK_POLICY)


async def ready(bed: Bed) -> None:
    await bed.put(source())
    await bed.put(sandbox())
    await bed.until("Ready", "True", "Available")
    await bed.until("PluginsLoaded", "True")


async def snapshots(bed: Bed) -> list[str]:
    return [each["metadata"]["name"] for each in await bed.find(kinds.CONFIG_MAP)]


def writes(operator: Operator) -> dict[tuple[str, str], float]:
    """Return what the operator wrote, its own Lease left out."""
    return {
        (sample.labels["kind"], sample.labels["verb"]): sample.value
        for metric in operator.metrics.registry.collect()
        for sample in metric.samples
        if sample.name == "pluginsandbox_writes_total" and sample.labels["kind"] != "Lease"
    }


async def versions(bed: Bed) -> dict[str, str]:
    """Return the resourceVersion of everything that the operator may write."""
    found = {}
    for kind in (kinds.SANDBOX, kinds.CONFIG_MAP, *CHILDREN, kinds.EVENT):
        for each in await bed.find(kind, ""):
            found[f"{kind.name}/{each['metadata']['name']}"] = each["metadata"]["resourceVersion"]
    return found


async def test_from_apply_to_ready_costs_its_children_and_two_statuses(bed: Bed) -> None:
    async with bed.operator() as operator:
        await ready(bed)
        assert writes(operator) == {
            ("ConfigMap", "apply"): 1,
            ("NetworkPolicy", "apply"): 1,
            ("Service", "apply"): 1,
            ("Deployment", "apply"): 1,
            ("PluginSandbox", "status"): 2,
        }
        status = await bed.status()
        assert (status["replicas"], status["readyReplicas"], status["desiredReplicas"]) == (1, 1, 1)
        assert status["endpoint"] == f"http://{SANDBOX}.{bed.namespace}.svc:8080"
        assert status["plugins"][0]["state"] == "Loaded"
        assert status["plugins"][0]["digest"].startswith("sha256:")
        assert (await bed.condition("Confined"))[:2] == ("True", "Proven")
        assert bed.statuses == 2, "each status is held to the rules as it is written"
        assert (await bed.condition("Stalled"))[0] == "False"
        assert not await bed.events(), "what goes well is no event"


async def test_an_object_applied_before_the_operator_runs_is_served(bed: Bed) -> None:
    await bed.put(source())
    await bed.put(sandbox())
    assert (await bed.get(kinds.SANDBOX) or {})["status"] == {"observedGeneration": -1}
    async with bed.operator():
        await bed.until("Ready", "True")


async def test_a_restart_at_rest_writes_nothing(bed: Bed) -> None:
    async with bed.operator():
        await ready(bed)
    before = await versions(bed)
    async with bed.operator() as second:
        await second.watch.synced.wait()
        await second.lease.wait_held()
        for _ in range(3):
            for key in second.store.sandboxes():
                second.queue.add(key)
            await eventually("an empty queue", lambda: _idle(second))
        assert writes(second) == {}
    assert await versions(bed) == before


async def _idle(operator: Operator) -> bool:
    await asyncio.sleep(0.1)
    return operator.metrics.queue_depth._value.get() == 0 and not operator._busy


@pytest.mark.parametrize("kind", CHILDREN, ids=lambda kind: str(kind.name))
async def test_a_deleted_child_comes_back(bed: Bed, kind: kinds.Kind) -> None:
    async with bed.operator():
        await ready(bed)
        old = await bed.get(kind)
        assert old is not None
        await bed.drop(kind)

        async def renewed() -> bool:
            new = await bed.get(kind)
            return new is not None and new["metadata"]["uid"] != old["metadata"]["uid"]

        await eventually("a new child", renewed, seconds=5)


async def test_drift_is_put_right_and_announced_and_what_others_add_is_left(bed: Bed) -> None:
    async with bed.operator() as operator:
        await ready(bed)
        mine = {"spec": {"replicas": 3}, "metadata": {"annotations": {"theirs": "stays"}}}
        await bed.api.merge(kinds.DEPLOYMENT, bed.namespace, SANDBOX, mine)

        async def repaired() -> Any:
            live = await bed.get(kinds.DEPLOYMENT)
            return live if live and live["spec"]["replicas"] == 1 else None

        live = await eventually("one replica again", repaired, seconds=5)
        assert live["metadata"]["annotations"]["theirs"] == "stays"

        async def told() -> Any:
            return await bed.events("DriftRepaired")

        event = (await eventually("an event", told))[0]
        assert "spec.replicas" in event["note"]
        assert event["regarding"]["name"] == SANDBOX
        await eventually("an empty queue", lambda: _idle(operator))
        live = await bed.get(kinds.DEPLOYMENT)
        assert live is not None
        assert live["metadata"]["generation"] == 3, "made, edited, and put right once"


async def test_a_snapshot_is_immutable_and_deleting_it_brings_it_back(bed: Bed) -> None:
    async with bed.operator():
        await ready(bed)
        (name,) = await snapshots(bed)
        live = await bed.get(kinds.CONFIG_MAP, name)
        assert live is not None
        assert live["immutable"] is True
        assert live["data"]["counter.counter.py"] == "a = 1\n"
        await bed.drop(kinds.CONFIG_MAP, name)

        async def back() -> bool:
            return await snapshots(bed) == [name]

        await eventually("the same snapshot", back, seconds=5)
        again = await bed.get(kinds.CONFIG_MAP, name)
        assert again is not None
        assert again["data"] == live["data"]


async def test_a_changed_source_rolls_out_and_the_old_snapshot_goes(bed: Bed) -> None:
    async with bed.operator() as operator:
        await ready(bed)
        (old,) = await snapshots(bed)
        before = writes(operator)
        await bed.put(source(text="a = 2\n"))

        async def renewed() -> bool:
            names = await snapshots(bed)
            return len(names) == 1 and names != [old]

        await eventually("only a new snapshot", renewed, seconds=30)
        await bed.until("Ready", "True")
        spent = sum(writes(operator).values()) - sum(before.values())
        assert spent <= 5, writes(operator)


async def test_suspend_and_resume(bed: Bed) -> None:
    async with bed.operator():
        await ready(bed)
        await bed.put(sandbox(operatingMode="Suspended"))
        await bed.until("Ready", "True", "Suspended")
        assert not await bed.find(kinds.POD)
        assert await bed.get(kinds.SERVICE)
        assert (await bed.status())["desiredReplicas"] == 0
        await bed.put(sandbox())
        await bed.until("Ready", "True", "Available")
        await bed.put(sandbox(replicas=0))
        await bed.until("Ready", "True", "ScaledToZero")


async def test_suspend_works_without_the_source(bed: Bed) -> None:
    async with bed.operator():
        await ready(bed)
        await bed.drop(kinds.CONFIG_MAP, "counter")
        await bed.until("Reconciling", "True", "SourceMissing")
        assert await bed.find(kinds.POD), "pods live on their snapshot"
        await bed.put(sandbox(operatingMode="Suspended"))

        async def stopped() -> bool:
            return not await bed.find(kinds.POD)

        await eventually("no pods", stopped)


async def test_deleting_leaves_nothing_behind(bed: Bed) -> None:
    async with bed.operator() as operator:
        await ready(bed)
        await bed.drop(kinds.SANDBOX)

        async def gone() -> bool:
            left = [len(await bed.find(kind)) for kind in (*CHILDREN, kinds.CONFIG_MAP, kinds.POD)]
            return sum(left) == 0

        await eventually("no children", gone, seconds=60)
        assert await bed.get(kinds.CONFIG_MAP, "counter"), "the author's own stays"
        await eventually("an empty queue", lambda: _idle(operator))
        assert ("PluginSandbox", "status") in writes(operator)


async def test_deleted_and_made_again_at_once_comes_up(bed: Bed) -> None:
    async with bed.operator():
        await ready(bed)
        await bed.drop(kinds.SANDBOX)
        await bed.put(sandbox())
        await bed.until("Ready", "True", seconds=40)


async def test_two_operators_one_leads_and_the_other_takes_over(bed: Bed) -> None:
    async with bed.operator() as second_after, bed.operator() as first:
        await eventually("a leader", lambda: _any_leads(first, second_after))
        leader, other = (first, second_after) if first.lease.held else (second_after, first)
        await ready(bed)
        assert writes(other) == {}
        assert writes(leader)
    async with bed.operator() as third:
        await asyncio.wait_for(third.lease.wait_held(), 2)


async def _any_leads(*operators: Operator) -> bool:
    return any(each.lease.held for each in operators)


async def test_a_field_that_admission_rewrites_each_time_is_no_write_loop(bed: Bed) -> None:
    async with rewritten(bed, "services", REWRITE), bed.operator() as operator:
        await ready(bed)
        await eventually("an empty queue", lambda: _idle(operator))
        live = await bed.get(kinds.SERVICE)
        assert live is not None
        assert live["spec"]["ports"][0]["targetPort"] == 1234, "admission has its way"
        before = writes(operator)
        for _ in range(3):
            for key in operator.store.sandboxes():
                operator.queue.add(key)
            await eventually("an empty queue", lambda: _idle(operator))
        assert writes(operator) == before
        assert not await bed.events("DriftRepaired")


REWRITE = """[JSONPatch{op: "replace", path: "/spec/ports/0/targetPort", value: 1234}]"""
MUTATION = {
    name: kinds.Kind(name, "admissionregistration.k8s.io", "v1", plural, namespaced=False)
    for name, plural in (
        ("MutatingAdmissionPolicy", "mutatingadmissionpolicies"),
        ("MutatingAdmissionPolicyBinding", "mutatingadmissionpolicybindings"),
    )
}


@contextlib.asynccontextmanager
async def rewritten(bed: Bed, resource: str, patch: str) -> AsyncIterator[None]:
    """Have admission change every object of a resource in the bed's namespace."""
    policy, binding = MUTATION.values()
    if not await bed.api.serves(policy):
        pytest.skip("this API server has no MutatingAdmissionPolicy of version v1")
    name = f"rewrite-{bed.namespace}"
    rules = {
        "apiGroups": [""],
        "apiVersions": ["v1"],
        "operations": ["CREATE", "UPDATE"],
        "resources": [resource],
    }
    spec = {
        "failurePolicy": "Fail",
        "reinvocationPolicy": "Never",
        "matchConstraints": {"resourceRules": [rules]},
        "mutations": [{"patchType": "JSONPatch", "jsonPatch": {"expression": patch}}],
    }
    selector = {"matchLabels": {"kubernetes.io/metadata.name": bed.namespace}}
    bound = {"policyName": name, "matchResources": {"namespaceSelector": selector}}
    await bed.write("POST", policy.path(""), {"metadata": {"name": name}, "spec": spec})
    await bed.write("POST", binding.path(""), {"metadata": {"name": name}, "spec": bound})
    probe = {
        "metadata": {"name": "probe"},
        "spec": {"ports": [{"port": 1, "targetPort": 1}]},
    }

    async def enforced() -> bool:
        path = kinds.SERVICE.path(bed.namespace)
        answer = await bed.write("POST", path, probe, dryRun="All")
        return bool(answer["spec"]["ports"][0]["targetPort"] == 1234)

    await eventually("the policy", enforced)
    try:
        yield
    finally:
        await bed.write("DELETE", binding.path("", name), {})
        await bed.write("DELETE", policy.path("", name), {})


async def test_files_and_settings_may_hold_any_character(bed: Bed) -> None:
    odd = "# \x7f \x85 \u2028 \ufeff \U0001f600\n"
    plugin = sandbox()["spec"]["plugins"][0]
    async with bed.operator():
        body = {"metadata": {"name": "counter", "labels": {kinds.SOURCE_LABEL: "true"}}}
        await bed.write(
            "POST", kinds.CONFIG_MAP.path(bed.namespace), body | {"data": {"a.py": odd}}
        )
        await bed.put(sandbox(plugins=[{**plugin, "config": {"a": odd}}]))
        await bed.until("Ready", "True")
        (copy,) = await bed.find(kinds.CONFIG_MAP)
        assert copy["data"]["counter.a.py"] == odd
        assert msgspec.json.decode(copy["data"]["host-config"])["plugins"][0]["config"]["a"] == odd


async def test_an_account_that_is_no_longer_asked_for_is_no_longer_used(bed: Bed) -> None:
    granted = [{"fields": ["pod.nodeSelector", "pod.serviceAccountName"]}]
    settings = Settings.model_validate({**bed.settings.model_dump(by_alias=True), "allow": granted})
    await bed.write("POST", ACCOUNT.path(bed.namespace), {"metadata": {"name": "other"}})

    async def accounts() -> set[str]:
        pods = await bed.find(kinds.POD)
        staying = (pod for pod in pods if "deletionTimestamp" not in pod["metadata"])
        return {pod["spec"]["serviceAccountName"] for pod in staying}

    async with bed.operator(settings):
        await bed.put(source())
        await bed.put(sandbox(pod={"nodeSelector": NOWHERE, "serviceAccountName": "other"}))
        await bed.until("Ready", "True")
        assert await accounts() == {"other"}
        await bed.put(sandbox())

        async def left() -> bool:
            return await accounts() == {"default"}

        await eventually("pods without it", left)
