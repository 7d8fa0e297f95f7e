"""What others refuse us is quoted with the way out, and heals when they let it pass."""

from __future__ import annotations

from typing import Any

import pytest

from pluginsandbox.api.sandbox import PluginSandbox
from pluginsandbox.controller import kinds
from pluginsandbox.controller.children import config_snapshot
from pluginsandbox.controller.children.config_snapshot import Files
from pluginsandbox.controller.kinds import Kind
from pluginsandbox.controller.settings import Settings
from pluginsandbox.controller.trim import summary
from tests.integration.operator.bed import (
    SANDBOX,
    Bed,
    eventually,
    sandbox,
    source,
)

pytestmark = pytest.mark.cluster


QUOTA = Kind("ResourceQuota", "", "v1", "resourcequotas")


LIMITS = Kind("LimitRange", "", "v1", "limitranges")


POLICY = Kind(
    "ValidatingAdmissionPolicy",
    "admissionregistration.k8s.io",
    "v1",
    "validatingadmissionpolicies",
    namespaced=False,
)


BINDING = Kind(
    "ValidatingAdmissionPolicyBinding",
    "admissionregistration.k8s.io",
    "v1",
    "validatingadmissionpolicybindings",
    namespaced=False,
)


@pytest.mark.parametrize("kind", [kinds.SERVICE, kinds.CONFIG_MAP], ids=lambda kind: kind.name)
async def test_a_foreign_object_is_never_adopted(bed: Bed, kind: Kind) -> None:
    name = SANDBOX if kind is kinds.SERVICE else _snapshot_name(bed)
    foreign = {"metadata": {"name": name}, "apiVersion": "v1", "kind": kind.name}
    foreign |= {"spec": {"ports": [{"port": 80}]}} if kind is kinds.SERVICE else {}
    made = await bed.put(foreign)
    async with bed.operator():
        await bed.put(source())
        await bed.put(sandbox())
        message = await bed.until("Stalled", "True", "NameConflict")
        assert f"{kind.name} {name}" in message
        assert (await bed.get(kind, name)) == made
        await bed.drop(kind, name)
        await bed.until("Ready", "True", seconds=40)


def _snapshot_name(bed: Bed) -> str:
    body = sandbox()
    body["metadata"]["namespace"] = bed.namespace
    content = source()
    told = summary(content)
    files = Files(told["digest"], tuple(told["keys"]), told["bytes"])
    return config_snapshot.plan(PluginSandbox.read(body), {"counter": files}).name


async def test_only_the_administrator_grants_restricted_fields(bed: Bed) -> None:
    await bed.put(source())
    granted = bed.settings
    strict = Settings.model_validate({**granted.model_dump(by_alias=True), "allow": []})
    async with bed.operator(strict):
        await bed.put(sandbox())
        message = await bed.until("Stalled", "True", "NotAllowed")
        assert "spec.pod.nodeSelector" in message
        assert "chart value `allow`" in message
        assert await bed.get(kinds.DEPLOYMENT) is None
    async with bed.operator(granted):
        await bed.until("Ready", "True")


async def test_a_grant_by_labels_of_the_namespace_counts(bed: Bed) -> None:
    await bed.put(source())
    by_label = [{"fields": ["pod.nodeSelector"], "namespaces": {"matchLabels": {"team": "shop"}}}]
    settings = Settings.model_validate(
        {**bed.settings.model_dump(by_alias=True), "allow": by_label}
    )
    async with bed.operator(settings):
        await bed.put(sandbox())
        await bed.until("Stalled", "True", "NotAllowed")
    await bed.write(
        "PATCH",
        kinds.NAMESPACE.path("", bed.namespace),
        {"metadata": {"labels": {"team": "shop"}}},
        "application/merge-patch+json",
    )
    async with bed.operator(settings):
        await bed.until("Ready", "True")


async def test_a_quota_without_room_and_its_raise(bed: Bed) -> None:
    quota = {"metadata": {"name": "tight"}, "spec": {"hard": {"pods": "0"}}}
    await bed.write("POST", QUOTA.path(bed.namespace), quota)

    async def counted() -> Any:
        return ((await bed.get(QUOTA, "tight") or {}).get("status") or {}).get("hard")

    await eventually("the quota is counted", counted)
    async with bed.operator():
        await bed.put(source())
        await bed.put(sandbox())
        message = await bed.until("Reconciling", "True", "QuotaExceeded")
        assert "exceeded quota: tight" in message
        await bed.drop(QUOTA, "tight")
        await bed.until("Ready", "True", seconds=60)


async def test_a_pod_that_is_refused_quotes_who_refuses_it(bed: Bed) -> None:
    limit = {"type": "Container", "max": {"memory": "1Mi"}}
    body = {"metadata": {"name": "tiny"}, "spec": {"limits": [limit]}}
    await bed.write("POST", LIMITS.path(bed.namespace), body)
    async with bed.operator():
        await bed.put(source())
        await bed.put(sandbox())
        assert "maximum memory" in await bed.until("Reconciling", "True", "PodRefused")


async def test_an_admission_policy_that_refuses_a_child_is_quoted(bed: Bed) -> None:
    name = f"refuse-{bed.namespace}"
    match = {
        "resourceRules": [
            {
                "apiGroups": [""],
                "apiVersions": ["v1"],
                "operations": ["CREATE"],
                "resources": ["services"],
            }
        ]
    }
    rule = {"expression": "false", "message": "no Services today"}
    policy = {"failurePolicy": "Fail", "matchConstraints": match, "validations": [rule]}
    selector = {"matchLabels": {"kubernetes.io/metadata.name": bed.namespace}}
    binding = {
        "policyName": name,
        "validationActions": ["Deny"],
        "matchResources": {"namespaceSelector": selector},
    }
    await bed.write("POST", POLICY.path(""), {"metadata": {"name": name}, "spec": policy})
    await bed.write("POST", BINDING.path(""), {"metadata": {"name": name}, "spec": binding})
    await _refuses_services(bed)
    async with bed.operator():
        await bed.put(source())
        await bed.put(sandbox())
        assert "no Services today" in await bed.until("Reconciling", "True", "RequestRefused")
        await bed.write("DELETE", BINDING.path("", name), {})
        await bed.write("DELETE", POLICY.path("", name), {})
        await bed.until("Ready", "True", seconds=60)


async def _refuses_services(bed: Bed) -> None:
    """Wait until the API server enforces the policy; it compiles it in the background."""
    probe = {"metadata": {"name": "probe"}, "spec": {"ports": [{"port": 1}]}}

    async def refused() -> bool:
        try:
            await bed.write("POST", kinds.SERVICE.path(bed.namespace), probe, dryRun="All")
        except Exception as error:  # noqa: BLE001 - any refusal will do
            return "no Services today" in str(error)
        return False

    await eventually("the policy", refused)
