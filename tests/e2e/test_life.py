"""A sandbox's life: changed, suspended, resumed, deleted, and left alone."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pluginsandbox.verify.digest import tree_digest
from tests.bed import sandboxes, shell
from tests.bed.kubectl import Kubectl, until
from tests.bed.platform import Platform
from tests.cluster.choice import choose
from tests.e2e.conftest import door, ready

pytestmark = pytest.mark.pods


def patch(kubectl: Kubectl, namespace: str, name: str, spec: object) -> None:
    change = json.dumps({"spec": spec})
    kubectl("patch", "psb", name, "-n", namespace, "--type=merge", "-p", change)


def test_a_changed_source_rolls_out_and_the_old_snapshot_goes(
    operator: Platform, namespace: str
) -> None:
    kubectl = operator.kubectl
    sandboxes.apply(kubectl, namespace, *sandboxes.counter())
    ready(kubectl, namespace, "counter")
    before = {
        each for each in sandboxes.owned(kubectl, namespace, "counter") if "ConfigMap" in each
    }
    faster = sandboxes.COUNTER.replace("+ amount", "+ 100 * amount")
    sandboxes.apply(kubectl, namespace, sandboxes.source("counter", {"counter.py": faster}))

    def rolled_out() -> bool:
        with door(kubectl, namespace, "counter") as post:
            return bool(post("counter", "add", context="c")[2] == 100)

    until("the new code answers", rolled_out, seconds=60)
    ready(kubectl, namespace, "counter")

    def renewed() -> bool:
        now = {
            each for each in sandboxes.owned(kubectl, namespace, "counter") if "ConfigMap" in each
        }
        return len(now - before) == 1

    until("a new snapshot", renewed)


def test_suspend_takes_the_pods_and_resume_brings_them_back(
    operator: Platform, namespace: str
) -> None:
    kubectl = operator.kubectl
    sandboxes.apply(kubectl, namespace, *sandboxes.counter())
    ready(kubectl, namespace, "counter")
    patch(kubectl, namespace, "counter", {"operatingMode": "Suspended"})
    sandboxes.wait_for(kubectl, namespace, "counter", "Ready", "True", "Suspended")
    left = set(sandboxes.owned(kubectl, namespace, "counter"))
    assert not [each for each in left if each.startswith("Pod/")]
    assert "Service/counter" in left
    patch(kubectl, namespace, "counter", {"operatingMode": None})
    sandboxes.wait_for(kubectl, namespace, "counter", "Reconciling", "False")
    ready(kubectl, namespace, "counter")
    with door(kubectl, namespace, "counter") as post:
        assert post("counter", "add")[0] == 200


def test_deleting_leaves_nothing_behind(operator: Platform, namespace: str) -> None:
    kubectl = operator.kubectl
    sandboxes.apply(kubectl, namespace, *sandboxes.counter())
    ready(kubectl, namespace, "counter")
    assert set(sandboxes.owned(kubectl, namespace, "counter"))
    kubectl.delete("psb", "counter", "-n", namespace)
    until(
        "all children are gone",
        lambda: not set(sandboxes.owned(kubectl, namespace, "counter")),
        seconds=90,
    )
    assert kubectl.find("configmap", "counter", "-n", namespace), "the author's own stays"


def test_drift_is_repaired_and_rest_means_no_writes(operator: Platform, namespace: str) -> None:
    kubectl = operator.kubectl
    sandboxes.apply(kubectl, namespace, *sandboxes.counter())
    ready(kubectl, namespace, "counter")
    kubectl.delete("service", "counter", "-n", namespace)
    until("the Service is back", lambda: kubectl.find("service", "counter", "-n", namespace))
    kubectl("scale", "deployment/counter", "-n", namespace, "--replicas=0")

    def repaired() -> bool:
        found = kubectl.get("deployment", "counter", "-n", namespace)
        return bool(found["spec"]["replicas"] == 1)

    until("the Deployment has one replica again", repaired)
    ready(kubectl, namespace, "counter")


def test_an_image_volume_is_a_source(operator: Platform, namespace: str, tmp_path: Path) -> None:
    kubectl = operator.kubectl
    (tmp_path / "plugin").mkdir()
    (tmp_path / "plugin" / "counter.py").write_text(sandboxes.COUNTER)
    archive = tmp_path / "plugin.tar"
    tag = "example.invalid/counter:1"
    shell.module("tests.images", "plugin", tmp_path / "plugin", tag, archive)
    (reference,) = choose().load(archive)
    from_image = sandboxes.plugin(
        "counter",
        "counter:Counter",
        source={"image": {"reference": reference, "path": "/plugin", "pullPolicy": "Never"}},
        digest=tree_digest({"counter.py": sandboxes.COUNTER.encode()}),
    )
    sandboxes.apply(kubectl, namespace, sandboxes.sandbox("counter", from_image))
    ready(kubectl, namespace, "counter")
    with door(kubectl, namespace, "counter") as post:
        assert post("counter", "add", context="c", amount=7)[2] == 7
