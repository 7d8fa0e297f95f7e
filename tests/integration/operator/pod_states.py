"""What a kubelet says of a pod whose container does not start."""

from __future__ import annotations

from typing import Any

UNMOUNTED = 'MountVolume.SetUp failed for volume "secret-1" : secret "keys" not found'


def waiting(reason: str, message: str) -> dict[str, Any]:
    """Return the status of a pod whose container waits."""
    container = {
        "name": "host",
        "image": "none",
        "imageID": "",
        "ready": False,
        "restartCount": 0,
        "state": {"waiting": {"reason": reason, "message": message}},
    }
    return {"phase": "Pending", "containerStatuses": [container]}


def creating() -> dict[str, Any]:
    """Return the status of a pod that has its node, and waits for what it mounts."""
    scheduled = {
        "type": "PodScheduled",
        "status": "True",
        "lastTransitionTime": "2026-01-01T00:00:00Z",
    }
    return waiting("ContainerCreating", "") | {"conditions": [scheduled]}


def unmounted(pod: dict[str, Any]) -> dict[str, Any]:
    """Return the Event of a pod one of whose volumes cannot be mounted."""
    metadata = pod["metadata"]
    regarding = {"apiVersion": "v1", "kind": "Pod"}
    regarding |= {name: metadata[name] for name in ("namespace", "name", "uid")}
    return {
        "metadata": {"name": f"mount-{metadata['name']}"},
        "eventTime": "2026-01-01T00:00:00.000000Z",
        "reportingController": "kubelet",
        "reportingInstance": "node",
        "action": "Mount",
        "reason": "FailedMount",
        "type": "Warning",
        "note": UNMOUNTED,
        "regarding": regarding,
    }
