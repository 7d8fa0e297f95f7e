"""A HorizontalPodAutoscaler takes over through /scale, and hands back."""

from __future__ import annotations

import json
import os
import shlex
from pathlib import Path
from typing import Any

import pytest

from tests.bed import load, pods, sandboxes
from tests.bed.kubectl import Kubectl, until
from tests.bed.platform import Platform
from tests.cluster.choice import choose
from tests.e2e.conftest import fresh_namespace, ready
from tests.gitops.metrics_server import metrics_server

pytestmark = [pytest.mark.pods, pytest.mark.timeout(600)]

NAME = "tally"
POLICY: dict[str, Any] = {
    "maxReplicas": 4,
    "metrics": [{"type": "RequestsPerSecond", "target": 1_000_000}],
    "stableWindowSeconds": 6,
    "scaleDownDelaySeconds": 5,
    "rates": {"downPercent": 100},
}
SECONDS = 180


def autoscaler() -> str:
    """Return one that wants more pods than there are as soon as calls take CPU."""
    target = {"type": "AverageValue", "averageValue": "10m"}
    spec = {
        "scaleTargetRef": {
            "apiVersion": "pluginsandbox.dev/v1alpha1",
            "kind": "PluginSandbox",
            "name": NAME,
        },
        "minReplicas": 1,
        "maxReplicas": 3,
        "metrics": [{"type": "Resource", "resource": {"name": "cpu", "target": target}}],
    }
    body = {"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler"}
    return json.dumps({**body, "metadata": {"name": NAME}, "spec": spec})


def active(kubectl: Kubectl, namespace: str, reason: str) -> str:
    """Wait for a reason of the condition ScalingActive; return its message."""

    def probe() -> str:
        found = sandboxes.conditions(kubectl, namespace, NAME)["ScalingActive"]
        if found["reason"] != reason:
            raise LookupError(found)
        return str(found["message"])

    message: str = until(reason, probe, seconds=SECONDS)
    return message


@pytest.mark.skipif("TAKE_OVER" not in os.environ, reason="takes minutes: make take-over")
@pytest.mark.skipif(choose().kind != "local", reason="metrics-server runs beside the local node")
def test_a_horizontal_pod_autoscaler_takes_over_and_the_load_decides_again_after_it(
    operator: Platform, tmp_path: Path
) -> None:
    kubectl = operator.kubectl
    with fresh_namespace(kubectl) as namespace:
        sandboxes.apply(kubectl, namespace, *sandboxes.tally(scaling=POLICY))
        ready(kubectl, namespace, NAME)
        kubectl("scale", f"psb/{NAME}", "-n", namespace, "--replicas=1")
        message = active(kubectl, namespace, "ManualReplicas")
        endpoint = kubectl.get("psb", NAME, "-n", namespace)["status"]["endpoint"]
        with (
            metrics_server(kubectl, tmp_path / "metrics-server"),
            load.running(kubectl, namespace, operator.operator.name, endpoint) as calling,
        ):
            kubectl.apply(autoscaler(), "-n", namespace)
            until(
                "3 pods by the HorizontalPodAutoscaler",
                lambda: pods.settled(kubectl, namespace, NAME, 3),
                seconds=SECONDS,
                every=1,
            )
            told = kubectl.get("hpa", NAME, "-n", namespace)["status"]
            assert told["desiredReplicas"] == 3
            assert told["currentMetrics"]
            kubectl.delete("hpa", NAME, "-n", namespace)
            kubectl(*shlex.split(message[message.index("kubectl patch") :])[1:])
            active(kubectl, namespace, "FollowsLoad")
            until(
                "1 pod by the load",
                lambda: pods.settled(kubectl, namespace, NAME, 1),
                seconds=SECONDS,
                every=1,
            )
            books = calling.finish()
        assert books.clean, (books, books.notes)
