"""Several pods: what they need is there before they are, made once, and kept."""

from __future__ import annotations

import asyncio
import base64
from typing import Any

import pytest

from pluginsandbox.controller import apply, kinds
from tests.integration.operator import audit
from tests.integration.operator.bed import SANDBOX, Bed, eventually, sandbox, source
from tests.integration.operator.control_plane import ControlPlane

pytestmark = pytest.mark.cluster

PEERS = f"{SANDBOX}-peers"
QUOTA = kinds.Kind("ResourceQuota", "", "v1", "resourcequotas")


@pytest.fixture
def grown_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take every sandbox for too old to meet what a namesake left."""
    monkeypatch.setattr(apply, "NAMESAKE_SECONDS", 0.0)


async def scaled(bed: Bed, count: int) -> None:
    """Ask for so many pods and wait until exactly they are ready."""
    await bed.put(sandbox(replicas=count))

    async def there() -> bool:
        status = await bed.status()
        numbers = {status.get(name) for name in ("replicas", "readyReplicas", "desiredReplicas")}
        return numbers == {count}

    await eventually(f"{count} pods", there, seconds=40)


async def key(bed: Bed) -> bytes:
    secret = await bed.get(kinds.SECRET, PEERS)
    assert secret is not None
    return base64.b64decode(secret["data"]["key"])


async def test_scaling_makes_a_key_once_before_the_deployment_grows_and_never_rolls_out(
    bed: Bed, plane: ControlPlane
) -> None:
    async with bed.operator():
        await bed.put(source())
        await scaled(bed, 1)
        await bed.until("Ready", "True")
        assert await bed.get(kinds.SECRET, PEERS) is None
        assert await bed.get(kinds.SERVICE, PEERS) is None
        assert await bed.get(kinds.POD_DISRUPTION_BUDGET) is None
        (first,) = await bed.find(kinds.POD)
        before = len(audit.writes(plane.audit_log, bed.namespace))
        await scaled(bed, 3)
        await bed.until("PluginsLoaded", "True", "AllLoaded")
        made = audit.writes(plane.audit_log, bed.namespace)[before:]
        children = [each.what for each in made if not each.what.startswith("pluginsandboxes")]
        assert children == ["secrets", "services", "deployments", "poddisruptionbudgets"]
        assert len(first_key := await key(bed)) == 32
        for count in (6, 2, 1, 4):
            await scaled(bed, count)
            assert (await bed.condition("Reconciling"))[:2] == ("False", "RolledOut")
        assert await key(bed) == first_key
        assert await bed.get(kinds.POD_DISRUPTION_BUDGET), "kept once it was needed"
        (sets,) = await bed.find(kinds.REPLICA_SET)
        assert first["metadata"]["labels"].items() <= sets["metadata"]["labels"].items()
        attempts = [
            each.code
            for each in audit.writes(plane.audit_log, bed.namespace)
            if each.what == "secrets"
        ]
        assert attempts == [201], "made once and never touched again"
        (told,) = (await bed.status())["plugins"]
        assert (told["state"], told["loadedReplicas"]) == ("Loaded", 4)


async def test_the_scale_subresource_counts_pods_and_scales_them(bed: Bed) -> None:
    async with bed.operator():
        await bed.put(source())
        await scaled(bed, 2)
        path = kinds.SANDBOX.path(bed.namespace, SANDBOX, "scale")
        await bed.write("PATCH", path, {"spec": {"replicas": 3}}, "application/merge-patch+json")

        async def there() -> Any:
            scale = await bed.api._insist("GET", path, {})
            return scale if scale["status"]["replicas"] == 3 else None

        scale = await eventually("three pods", there)
        assert scale["status"]["selector"] == f"{kinds.SANDBOX_LABEL}={SANDBOX}"


async def test_a_lost_pod_of_several_is_no_roll_out(bed: Bed) -> None:
    async with bed.operator():
        await bed.put(source())
        await scaled(bed, 3)
        await bed.until("Ready", "True")
        seen: set[tuple[str, str]] = set()
        lost = (await bed.find(kinds.POD))[0]
        await bed.drop(kinds.POD, lost["metadata"]["name"])

        async def replaced() -> bool:
            for kind in ("Ready", "Reconciling"):
                seen.add((kind, (await bed.condition(kind))[0]))
            pods = await bed.find(kinds.POD)
            names = {each["metadata"]["name"] for each in pods}
            status = await bed.status()
            return lost["metadata"]["name"] not in names and status["readyReplicas"] == 3

        await eventually("another pod", replaced)
        assert seen == {("Ready", "True"), ("Reconciling", "False")}


@pytest.mark.parametrize(
    ("kind", "name"), [(kinds.SERVICE, PEERS), (kinds.POD_DISRUPTION_BUDGET, SANDBOX)]
)
@pytest.mark.usefixtures("grown_up")
async def test_what_several_pods_need_comes_back(bed: Bed, kind: kinds.Kind, name: str) -> None:
    async with bed.operator():
        await bed.put(source())
        await scaled(bed, 2)
        before = await key(bed)
        await bed.drop(kind, name)
        await eventually("it is back", lambda: bed.get(kind, name))
        assert await key(bed) == before


async def test_made_anew_under_its_old_name_a_sandbox_gets_a_key_of_its_own(bed: Bed) -> None:
    async with bed.operator():
        await bed.put(source())
        await scaled(bed, 2)
        old = await key(bed)
        await bed.drop(kinds.SANDBOX)
        await scaled(bed, 2)
        body = await bed.get(kinds.SANDBOX)
        secret = await bed.get(kinds.SECRET, PEERS)
        assert body is not None
        assert secret is not None
        assert secret["metadata"]["ownerReferences"][0]["uid"] == body["metadata"]["uid"]
        assert await key(bed) != old


@pytest.mark.usefixtures("grown_up")
async def test_a_key_that_somebody_brought_is_used_and_left_alone(bed: Bed) -> None:
    await bed.put(source())
    await bed.put(sandbox())
    theirs = {"metadata": {"name": PEERS}, "stringData": {"key": "x" * 32, "previous": "y" * 32}}
    await bed.write("POST", kinds.SECRET.path(bed.namespace), theirs)
    async with bed.operator():
        await bed.until("Ready", "True")
        await scaled(bed, 3)
        assert await key(bed) == b"x" * 32


async def test_while_a_key_may_be_about_to_go_more_pods_are_not_said_to_be_there(
    bed: Bed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(apply, "NAMESAKE_SECONDS", 3600.0)
    async with bed.operator():
        await bed.put(source())
        await scaled(bed, 1)
        await bed.write("POST", kinds.SECRET.path(bed.namespace), {"metadata": {"name": PEERS}})
        await bed.put(sandbox(replicas=2))
        await bed.until("Reconciling", "True", "RollingOut")
        live = await bed.get(kinds.DEPLOYMENT)
        assert live is not None
        assert live["spec"]["replicas"] == 1


async def test_without_a_key_there_is_never_a_second_pod(bed: Bed) -> None:
    quota = {"metadata": {"name": "none"}, "spec": {"hard": {"secrets": "0"}}}
    await bed.write("POST", QUOTA.path(bed.namespace), quota)

    async def counted() -> Any:
        return ((await bed.get(QUOTA, "none") or {}).get("status") or {}).get("hard")

    await eventually("the quota is counted", counted)
    async with bed.operator():
        await bed.put(source())
        await scaled(bed, 1)
        await bed.put(sandbox(replicas=3))
        message = await bed.until("Reconciling", "True", "RequestRefused")
        assert f"Secret {PEERS}" in message
        assert "exceeded quota: none" in message
        await asyncio.sleep(1)  # long enough for pods that must not come
        assert len(await bed.find(kinds.POD)) == 1
        await bed.drop(QUOTA, "none")
        await scaled(bed, 3)


async def test_a_foreign_service_of_the_peers_name_is_a_conflict(bed: Bed) -> None:
    async with bed.operator():
        await bed.put(source())
        await scaled(bed, 1)
        foreign = {"metadata": {"name": PEERS}, "spec": {"ports": [{"port": 1}]}}
        await bed.write("POST", kinds.SERVICE.path(bed.namespace), foreign)
        await bed.put(sandbox(replicas=2))
        assert PEERS in await bed.until("Stalled", "True", "NameConflict")
        assert len(await bed.find(kinds.POD)) == 1
        await bed.drop(kinds.SERVICE, PEERS)
        await scaled(bed, 2)
