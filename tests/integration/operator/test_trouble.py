"""Whatever is wrong ends in a condition that says what to do, and heals when the cause goes."""

from __future__ import annotations

import asyncio
import base64
from typing import Any

import aiohttp
import pytest

from pluginsandbox.api import crd
from pluginsandbox.api.sandbox import PluginSandbox
from pluginsandbox.controller import kinds, reconcile
from pluginsandbox.controller.children import config_snapshot
from pluginsandbox.controller.children.config_snapshot import Files
from pluginsandbox.controller.errors import PermanentError
from pluginsandbox.controller.kinds import Kind
from pluginsandbox.controller.settings import Settings
from pluginsandbox.controller.trim import summary
from pluginsandbox.verify.digest import tree_digest
from tests.integration.operator.bed import (
    DEFINITION,
    SANDBOX,
    Bed,
    eventually,
    install_kind,
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


def plugin(**fields: Any) -> dict[str, Any]:
    base = sandbox()["spec"]["plugins"][0]
    return {**base, **fields}


async def test_a_missing_source_heals_when_it_comes(bed: Bed) -> None:
    async with bed.operator():
        await bed.put(sandbox())
        message = await bed.until("Reconciling", "True", "SourceMissing")
        assert "ConfigMap counter" in message
        assert "create it" in message
        assert (await bed.condition("Ready"))[:2] == ("Unknown", "Progressing")
        assert await bed.events("SourceMissing")
        await bed.put(source())
        await bed.until("Ready", "True", seconds=5)
        await eventually("an event", lambda: bed.events("Recovered"), seconds=5)


async def test_an_unlabelled_source_is_not_copied_until_its_owner_labels_it(bed: Bed) -> None:
    async with bed.operator():
        await bed.put(source(labelled=False))
        await bed.put(sandbox())
        message = await bed.until("Ready", "False", "SourceNotLabelled")
        assert "kubectl label configmap counter" in message
        assert not await bed.find(kinds.CONFIG_MAP)
        await bed.put(source())
        await bed.until("Ready", "True", seconds=5)


async def test_an_empty_source_is_a_missing_one(bed: Bed) -> None:
    async with bed.operator():
        await bed.put({**source(), "data": {}})
        await bed.put(sandbox())
        assert "is empty" in await bed.until("Reconciling", "True", "SourceMissing")


async def test_a_wrong_digest_is_never_rolled_out(bed: Bed) -> None:
    async with bed.operator():
        await bed.put(source())
        wrong, right = "sha256:" + "0" * 64, tree_digest({"counter.py": b"a = 1\n"})
        await bed.put(sandbox(plugins=[plugin(digest=wrong)]))
        message = await bed.until("Stalled", "True", "DigestMismatch")
        assert right in message
        assert (await bed.condition("Reconciling"))[0] == "False"
        assert (await bed.condition("Ready"))[:2] == ("False", "DigestMismatch")
        assert await bed.get(kinds.DEPLOYMENT) is None
        await bed.put(sandbox(plugins=[plugin(digest=right)]))
        await bed.until("Ready", "True")
        assert (await bed.condition("Stalled"))[0] == "False"


async def test_a_source_that_is_too_large_says_what_to_ship_instead(bed: Bed) -> None:
    async with bed.operator():
        large = {"blob": base64.b64encode(b"x" * (700 << 10)).decode()}
        await bed.put({**source(), "binaryData": large})
        await bed.put(sandbox())
        assert "source.image" in await bed.until("Stalled", "True", "SourceTooLarge")
        await bed.put(source())
        await bed.until("Ready", "True")


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


def waiting(reason: str, message: str) -> dict[str, Any]:
    container = {
        "name": "host",
        "image": "none",
        "imageID": "",
        "ready": False,
        "restartCount": 0,
        "state": {"waiting": {"reason": reason, "message": message}},
    }
    return {"phase": "Pending", "containerStatuses": [container]}


async def _pod(bed: Bed) -> dict[str, Any]:
    async def made() -> Any:
        pods = await bed.find(kinds.POD)
        return pods[0] if pods else None

    found: dict[str, Any] = await eventually("a pod", made)
    return found


@pytest.mark.parametrize(
    ("reason", "expected"),
    [
        ("ImagePullBackOff", "ImagePullFailed"),
        ("ErrImageNeverPull", "ImagePullFailed"),
        ("CreateContainerConfigError", "PodCrashing"),
    ],
)
async def test_a_container_that_does_not_start_is_explained(
    bed: Bed, reason: str, expected: str
) -> None:
    bed.kubelet.ready = False
    async with bed.operator():
        await bed.put(source())
        await bed.put(sandbox())
        pod = await _pod(bed)
        await bed.kubelet.patch(pod, waiting(reason, "because"))
        message = await bed.until("Reconciling", "True", expected)
        assert pod["metadata"]["name"] in message
        assert "because" in message
        bed.kubelet.ready = True
        await bed.until("Ready", "True")


async def test_an_unschedulable_pod_is_explained(bed: Bed) -> None:
    bed.kubelet.ready = False
    async with bed.operator():
        await bed.put(source())
        await bed.put(sandbox())
        condition = {
            "type": "PodScheduled",
            "status": "False",
            "reason": "Unschedulable",
            "message": "0/1 nodes are available",
        }
        await bed.kubelet.patch(await _pod(bed), {"conditions": [condition]})
        assert "0/1 nodes" in await bed.until("Reconciling", "True", "Unschedulable")


async def test_a_plugin_that_cannot_be_imported_is_quoted_from_its_host(bed: Bed) -> None:
    bed.kubelet.ready = False
    failed = {
        "name": "counter",
        "state": "Failed",
        "reason": "ImportFailed",
        "message": "counter.py, line 3: SyntaxError: invalid syntax",
    }
    bed.hosts.stats = {"plugins": [failed], "confinement": {"holds": True}}
    async with bed.operator():
        await bed.put(source())
        await bed.put(sandbox())
        await bed.kubelet.say(await _pod(bed), ready=False)
        assert "SyntaxError" in await bed.until("Stalled", "True", "PluginInvalid")
        assert (await bed.condition("PluginsLoaded"))[:2] == ("False", "PluginInvalid")
        (told,) = (await bed.status())["plugins"]
        assert (told["state"], told["loadedReplicas"]) == ("Failed", 0)
        bed.hosts.stats = {
            "plugins": [{"name": "counter", "state": "Loaded"}],
            "confinement": {"holds": True, "landlockAbi": 7},
        }
        bed.kubelet.ready = True
        await bed.put(source(text="a = 3\n"))
        await bed.until("Ready", "True")


async def test_a_node_that_cannot_confine_is_named(bed: Bed) -> None:
    bed.kubelet.ready = False
    bed.hosts.stats = {"confinement": {"holds": False, "missing": ["Landlock is not enabled"]}}
    async with bed.operator():
        await bed.put(source())
        await bed.put(sandbox())
        await bed.kubelet.say(await _pod(bed), ready=False)
        message = await bed.until("Stalled", "True", "ConfinementImpossible")
        assert "Landlock is not enabled" in message
        assert (await bed.condition("Confined"))[:2] == ("False", "ConfinementImpossible")


@pytest.mark.parametrize(
    "lie", [b"not json", b"[" * 100_000, b" " * 200_000, b'{"plugins": [{"name": 7}]}']
)
async def test_what_a_host_tells_never_decides_readiness(bed: Bed, lie: bytes) -> None:
    bed.hosts.stats = lie
    async with bed.operator():
        await bed.put(source())
        await bed.put(sandbox())
        await bed.until("Ready", "True")
        assert (await bed.condition("PluginsLoaded"))[:2] == ("Unknown", "HostsUnreachable")
        assert (await bed.condition("Confined"))[:2] == ("Unknown", "HostsUnreachable")


async def test_a_namespace_that_is_being_deleted_is_no_crash(bed: Bed) -> None:
    await bed.put(source())
    held = {"metadata": {"name": "held", "finalizers": ["pluginsandbox.test/hold"]}}
    await bed.write("POST", kinds.CONFIG_MAP.path(bed.namespace), held)
    async with bed.operator() as operator:
        await bed.put(sandbox())
        await bed.until("Ready", "True")
        await bed.drop_namespace()

        async def gone() -> bool:
            return not list(operator.store.sandboxes())

        await eventually("the sandbox is gone", gone, seconds=30)
        assert not operator._stopping
    await bed.write(
        "PATCH",
        kinds.CONFIG_MAP.path(bed.namespace, "held"),
        {"metadata": {"finalizers": None}},
        "application/merge-patch+json",
    )


async def test_without_the_kind_the_operator_waits_and_then_serves(bed: Bed) -> None:
    await bed.write("DELETE", DEFINITION.path("", crd.NAME), {})

    async def gone() -> bool:
        return await bed.api.get(DEFINITION, "", crd.NAME) is None

    await eventually("the kind is gone", gone, seconds=30)
    async with bed.operator() as operator, aiohttp.ClientSession() as session:

        async def asked(path: str) -> tuple[int, str]:
            url = f"http://127.0.0.1:{operator.health.port}{path}"
            async with session.get(url) as answer:
                return answer.status, await answer.text()

        await asyncio.wait_for(operator.lease.wait_held(), 10)
        assert (await asked("/healthz"))[0] == 200
        assert (await asked("/readyz"))[0] == 503
        await install_kind(bed.api)
        await asyncio.wait_for(operator.watch.synced.wait(), 30)
        assert (await asked("/readyz"))[0] == 200
        assert "pluginsandbox_leader 1.0" in (await asked("/metrics"))[1]
        await bed.put(source())
        await bed.put(sandbox())
        await bed.until("Ready", "True")


async def test_the_kind_may_go_and_come_back_under_a_running_operator(bed: Bed) -> None:
    async with bed.operator() as operator:
        await bed.put(source())
        await bed.put(sandbox())
        await bed.until("Ready", "True")
        await bed.write("DELETE", DEFINITION.path("", crd.NAME), {})

        async def gone() -> bool:
            left = await bed.api.get(DEFINITION, "", crd.NAME)
            return left is None and not list(operator.store.sandboxes())

        await eventually("the kind and its objects are gone", gone, seconds=30)
        await install_kind(bed.api)
        await bed.put(sandbox(name="again"))

        async def served() -> bool:
            return (await bed.condition("Ready", "again"))[0] == "True"

        await eventually("a new sandbox is served", served, seconds=60)


async def test_a_volume_that_the_kubelet_cannot_mount_is_quoted_from_its_events(bed: Bed) -> None:
    bed.kubelet.ready = False
    async with bed.operator():
        await bed.put(source())
        await bed.put(sandbox())
        pod = await _pod(bed)
        note = 'MountVolume.SetUp failed for volume "secret-1" : secret "keys" not found'
        event = {
            "metadata": {"name": "mount"},
            "eventTime": "2026-01-01T00:00:00.000000Z",
            "reportingController": "kubelet",
            "reportingInstance": "node",
            "action": "Mount",
            "reason": "FailedMount",
            "type": "Warning",
            "note": note,
            "regarding": {
                "apiVersion": "v1",
                "kind": "Pod",
                "namespace": bed.namespace,
                "name": pod["metadata"]["name"],
                "uid": pod["metadata"]["uid"],
            },
        }
        await bed.write("POST", kinds.EVENT.path(bed.namespace), event)
        scheduled = {
            "type": "PodScheduled",
            "status": "True",
            "lastTransitionTime": "2026-01-01T00:00:00Z",
        }
        creating = waiting("ContainerCreating", "") | {"conditions": [scheduled]}
        await bed.kubelet.patch(pod, creating)
        assert note in await bed.until("Reconciling", "True", "MountFailed")


def _definition(kind: Kind, schema: dict[str, Any]) -> dict[str, Any]:
    version = {"name": kind.version, "served": True, "storage": True}
    return {
        "metadata": {"name": f"{kind.plural}.{kind.group}"},
        "spec": {
            "group": kind.group,
            "scope": "Namespaced",
            "names": {"kind": kind.name, "plural": kind.plural},
            "versions": [{**version, "schema": {"openAPIV3Schema": schema}}],
        },
    }


ANYTHING = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}


async def test_pods_are_monitored_where_the_prometheus_operator_is_installed(bed: Bed) -> None:
    definition = _definition(kinds.POD_MONITOR, ANYTHING)
    await bed.write("POST", DEFINITION.path(""), definition)

    async def served() -> bool:
        return await bed.api.serves(kinds.POD_MONITOR)

    await eventually("the kind", served)
    try:
        async with bed.operator():
            await bed.put(source())
            await bed.put(sandbox())
            await bed.until("Ready", "True")
            monitor = await bed.get(kinds.POD_MONITOR)
            assert monitor is not None
            assert monitor["spec"]["podMetricsEndpoints"] == [{"port": "admin", "path": "/metrics"}]
    finally:
        await bed.write("DELETE", DEFINITION.path("", definition["metadata"]["name"]), {})


async def test_a_spec_that_an_older_kind_let_pass_is_named(bed: Bed) -> None:
    loose = crd.definition()
    loose["spec"]["versions"][0]["schema"]["openAPIV3Schema"] = ANYTHING
    await _replace_kind(bed, loose)
    try:
        async with bed.operator():
            await bed.put(source())
            await bed.put(sandbox(contexts={"idleTimeoutSeconds": -1}))
            message = await bed.until("Stalled", "True", "SpecInvalid")
            assert "spec.contexts.idleTimeoutSeconds" in message
            await bed.put(sandbox())
            await bed.until("Ready", "True")
    finally:
        await install_kind(bed.api)


async def _replace_kind(bed: Bed, definition: dict[str, Any]) -> None:
    """Have the API server take anything for a PluginSandbox."""
    path = DEFINITION.path("", crd.NAME)
    live = await bed.api.get(DEFINITION, "", crd.NAME)
    assert live is not None
    await bed.write("PUT", path, {**live, "spec": definition["spec"]})
    junk = sandbox(name="probe", contexts={"idleTimeoutSeconds": -1})

    async def taken() -> bool:
        try:
            await bed.write("POST", kinds.SANDBOX.path(bed.namespace), junk, dryRun="All")
        except PermanentError:
            return False
        return True

    await eventually("any spec is taken", taken)


async def test_a_failing_operator_says_so_and_goes_on(
    bed: Bed, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any) -> Any:
        raise ZeroDivisionError("a defect")

    async with bed.operator() as operator:
        with monkeypatch.context() as patched:
            patched.setattr(reconcile, "decide", broken)
            await bed.put(source())
            await bed.put(sandbox())
            message = await bed.until("Reconciling", "True", "OperatorError")
            assert "ZeroDivisionError: a defect" in message
        await bed.until("Ready", "True")
        assert not operator._stopping
