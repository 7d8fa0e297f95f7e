"""What a person sees of the kind: explanations, columns, short name, and a sound definition."""

from __future__ import annotations

import json
import re

import pytest

from pluginsandbox.api import crd as generated
from tests.bed.kubectl import Kubectl
from tests.unit.api.objects import sandbox

pytestmark = [pytest.mark.cluster, pytest.mark.usefixtures("crd")]


def test_the_definition_is_structural_and_established(kubectl: Kubectl, crd: str) -> None:
    found = kubectl.get("crd", crd)["status"]
    conditions = {one["type"]: one["status"] for one in found["conditions"]}
    assert conditions == {"NamesAccepted": "True", "Established": "True"}
    assert found["storedVersions"] == ["v1alpha1"]


def test_the_server_keeps_the_schema_as_it_is_written(kubectl: Kubectl, crd: str) -> None:
    kept = kubectl.get("crd", crd)["spec"]["versions"]
    assert kept == generated.definition()["spec"]["versions"]


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("", "how they are isolated, limited and served"),
        (".spec.plugins", "One plugin: third-party code"),
        (".spec.plugins.isolation", "no wall against hostile code"),
        (".spec.plugins.limits.memory", "A worker over it dies"),
        (".spec.plugins.source.configMap", "pluginsandbox.dev/source=true"),
        (".spec.host.confinement", "only where the administrator allows it"),
        (".spec.pod.labels", "Reserved: pluginsandbox.dev/*"),
        (".spec.replicas", "Absent: one pod"),
        (".status.conditions", "Ready sums it up"),
    ],
)
def test_kubectl_explain_helps(kubectl: Kubectl, path: str, words: str) -> None:
    assert words in " ".join(kubectl("explain", f"psb{path}").split())


def test_columns_tell_what_counts(kubectl: Kubectl, namespace: str) -> None:
    annotation = {"pluginsandbox.dev/revision": "4f1c2d9"}
    body = sandbox(**{"metadata.namespace": namespace, "metadata.annotations": annotation})
    kubectl("create", "-f", "-", stdin=json.dumps(body))
    status = {
        "replicas": 1,
        "desiredReplicas": 2,
        "endpoint": "http://shop:8080",
        "conditions": [
            {"type": "PluginsLoaded", "status": "True", "reason": "AllLoaded"},
            {"type": "Ready", "status": "False", "reason": "PodsNotReady"},
        ],
    }
    patch = ("patch", "psb", "shop", "--type=merge", "--subresource=status", "-p")
    kubectl("-n", namespace, *patch, json.dumps({"status": status}))
    narrow = _table(kubectl("-n", namespace, "get", "psb"))
    wide = _table(kubectl("-n", namespace, "get", "psb", "-o", "wide"))
    assert narrow[0] == ["NAME", "READY", "REASON", "REPLICAS", "DESIRED", "AGE"]
    assert narrow[1][:-1] == ["shop", "False", "PodsNotReady", "1", "2"]
    assert wide[0] == [*narrow[0], "PLUGINS", "ENDPOINT", "REVISION"]
    assert wide[1][6:] == ["AllLoaded", "http://shop:8080", "4f1c2d9"]


def _table(printed: str) -> list[list[str]]:
    return [re.split(r"\s{2,}", line.strip()) for line in printed.strip().splitlines()]
