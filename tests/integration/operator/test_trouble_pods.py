"""A pod that does not get ready is explained by what its node and its host say."""

from __future__ import annotations

from typing import Any

import pytest

from pluginsandbox.controller import kinds
from tests.integration.operator import pod_states
from tests.integration.operator.bed import Bed, eventually, sandbox, source

pytestmark = pytest.mark.cluster


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
        await bed.kubelet.patch(pod, pod_states.waiting(reason, "because"))
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


async def test_a_volume_that_the_kubelet_cannot_mount_is_quoted_from_its_events(bed: Bed) -> None:
    bed.kubelet.ready = False
    async with bed.operator():
        await bed.put(source())
        await bed.put(sandbox())
        pod = await _pod(bed)
        await bed.write("POST", kinds.EVENT.path(bed.namespace), pod_states.unmounted(pod))
        await bed.kubelet.patch(pod, pod_states.creating())
        assert pod_states.UNMOUNTED in await bed.until("Reconciling", "True", "MountFailed")
