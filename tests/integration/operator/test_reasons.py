"""The reasons that nothing else here brings about; tests/unit/controller/test_reasons.py counts."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import Any

import pytest

from pluginsandbox.controller import kinds, rollout, status
from pluginsandbox.controller.settings import Settings
from tests.integration.operator.bed import Bed, eventually, sandbox, source
from tests.integration.operator.test_life import MUTATION

pytestmark = pytest.mark.cluster

LOADED = {"name": "counter", "state": "Loaded"}
HOLDS = {"holds": True, "landlockAbi": 7}


async def _pod(bed: Bed) -> dict[str, Any]:
    async def made() -> Any:
        pods = await bed.find(kinds.POD)
        return pods[0] if pods else None

    found: dict[str, Any] = await eventually("a pod", made)
    return found


async def _tells(bed: Bed, **stats: Any) -> None:
    """Have the host tell something else, and be asked for it: its readiness flaps."""
    pod = await _pod(bed)
    await bed.kubelet.say(pod, ready=False)
    await bed.until("Ready", "False", "PodsNotReady")
    bed.hosts.stats = {"plugins": [LOADED], "confinement": HOLDS, **stats}
    await bed.kubelet.say(pod)
    await bed.until("Ready", "True", "Available")


async def test_what_hosts_tell_is_a_reason_of_its_own_condition(bed: Bed) -> None:
    bed.kubelet.ready = False
    async with bed.operator():
        await bed.put(source())
        await bed.put(sandbox())
        await bed.until("Ready", "Unknown", "Progressing")
        await bed.until("Reconciling", "True", "RollingOut")
        await bed.until("Stalled", "False", "NotStalled")
        await bed.until("PluginsLoaded", "Unknown", "NoPods")
        bed.kubelet.ready = True
        await bed.until("Reconciling", "False", "RolledOut")
        await bed.until("PluginsLoaded", "True", "AllLoaded")
        await bed.until("Confined", "True", "Proven")
        await _tells(bed, plugins=[{"name": "counter", "state": "Pending"}])
        assert "counter" in await bed.until("PluginsLoaded", "False", "Loading")
        await _tells(bed, confinement=None)
        await bed.until("Confined", "Unknown", "Proving")
        await _tells(bed, plugins=[{"name": "counter", "state": "Failed", "message": "disk"}])
        assert "disk" in await bed.until("PluginsLoaded", "False", "LoadFailed")


async def test_a_part_of_the_wall_that_is_missing_is_named_where_that_is_allowed(bed: Bed) -> None:
    granted = [{"fields": ["host.confinement", "pod.nodeSelector"]}]
    settings = Settings.model_validate({**bed.settings.model_dump(by_alias=True), "allow": granted})
    bed.hosts.stats = {
        "plugins": [LOADED],
        "confinement": {"holds": False, "missing": ["abstract sockets can be reached"]},
    }
    async with bed.operator(settings):
        await bed.put(source())
        await bed.put(sandbox(host={"confinement": "BestEffort"}))
        await bed.until("Ready", "True")
        said = await bed.until("Confined", "False", "PartlyConfined")
        assert "abstract sockets can be reached" in said


async def test_pods_that_take_long_to_leave_are_waited_for(bed: Bed) -> None:
    async with bed.operator():
        await bed.put(source())
        await bed.put(sandbox())
        await bed.until("Ready", "True")
        name = (await _pod(bed))["metadata"]["name"]
        held = {"metadata": {"finalizers": ["pluginsandbox.test/hold"]}}
        await bed.api.merge(kinds.POD, bed.namespace, name, held)
        await bed.put(sandbox(operatingMode="Suspended"))
        await bed.until("Reconciling", "True", "Stopping")
        await bed.api.merge(kinds.POD, bed.namespace, name, {"metadata": {"finalizers": None}})
        await bed.until("Ready", "True", "Suspended")


async def test_what_takes_too_long_without_a_cause_is_stalled_and_heals(
    bed: Bed, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (status, rollout):
        monkeypatch.setattr(module, "STALL_SECONDS", 2)
    bed.kubelet.ready = False
    async with bed.operator():
        await bed.put(source())
        await bed.put(sandbox())
        assert "look at the pods" in await bed.until("Stalled", "True", "TimedOut")
        await bed.until("Reconciling", "False", "Stalled")
        bed.kubelet.ready = True
        await bed.until("Ready", "True", "Available")


async def test_a_pod_that_pod_security_refuses_quotes_it(bed: Bed) -> None:
    label = {"metadata": {"labels": {"pod-security.kubernetes.io/enforce": "restricted"}}}
    await bed.api.merge(kinds.NAMESPACE, "", bed.namespace, label)
    async with bed.operator():
        await bed.put(source())
        async with pods_on_the_nodes_network(bed):
            await bed.put(sandbox())
            message = await bed.until("Reconciling", "True", "PodRefused")
            assert "violates PodSecurity" in message
            assert "hostNetwork" in message
        # Without that, our pods pass: Kubernetes tries again by itself.
        await bed.until("Ready", "True", seconds=60)


@contextlib.asynccontextmanager
async def pods_on_the_nodes_network(bed: Bed) -> AsyncIterator[None]:
    """Have admission put every pod of the bed's namespace on its node's network."""
    policy, binding = MUTATION.values()
    if not await bed.api.serves(policy):
        pytest.skip("this API server has no MutatingAdmissionPolicy of version v1")
    name = f"network-{bed.namespace}"
    rules = {
        "apiGroups": [""],
        "apiVersions": ["v1"],
        "operations": ["CREATE"],
        "resources": ["pods"],
    }
    patch = """[JSONPatch{op: "add", path: "/spec/hostNetwork", value: true}]"""
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
    await eventually("the policy", lambda: _on_the_nodes_network(bed))
    try:
        yield
    finally:
        await bed.write("DELETE", binding.path("", name), {})
        await bed.write("DELETE", policy.path("", name), {})


async def _on_the_nodes_network(bed: Bed) -> bool:
    container = {"name": "probe", "image": "none"}
    probe = {"metadata": {"name": "probe"}, "spec": {"containers": [container]}}
    try:
        await bed.write("POST", kinds.POD.path(bed.namespace), probe, dryRun="All")
    except Exception as error:  # noqa: BLE001 - refused it is in any case: the question is why
        return "hostNetwork" in str(error)
    return False
