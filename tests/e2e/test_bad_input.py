"""What goes wrong ends in a condition that says what to do, and heals when its cause goes."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest

from tests.bed import sandboxes, shell
from tests.bed.kubectl import Kubectl, until
from tests.bed.platform import NAMESPACE, Platform
from tests.e2e.conftest import ready

pytestmark = pytest.mark.pods


def operator_restarts(kubectl: Kubectl) -> list[int]:
    pods = kubectl.get("pods", "-n", NAMESPACE)["items"]
    return [each["restartCount"] for pod in pods for each in pod["status"]["containerStatuses"]]


@pytest.mark.parametrize(
    ("code", "says"),
    [
        ("import requests_that_do_not_exist\n" + sandboxes.COUNTER, "requests_that_do_not_exist"),
        (sandboxes.COUNTER + "\ndef broken(:\n", "counter.py"),
        (sandboxes.COUNTER.replace("class Counter", "class Clicker"), "Clicker"),
        ("raise RuntimeError('no licence file')\n" + sandboxes.COUNTER, "no licence file"),
    ],
    ids=["unknown import", "syntax error", "no such class", "raises on import"],
)
def test_a_plugin_that_cannot_load_is_named_and_heals(
    operator: Platform, namespace: str, code: str, says: str
) -> None:
    kubectl = operator.kubectl
    sandboxes.apply(
        kubectl,
        namespace,
        sandboxes.source("counter", {"counter.py": code}),
        sandboxes.sandbox("counter", sandboxes.plugin("counter", "counter:Counter")),
    )
    stalled = sandboxes.wait_for(kubectl, namespace, "counter", "Stalled", "True", "PluginInvalid")
    assert says in stalled["message"]
    assert "/plugins/" not in stalled["message"], "no path of the host"
    loaded = sandboxes.conditions(kubectl, namespace, "counter")["PluginsLoaded"]
    assert loaded["status"] == "False"
    sandboxes.apply(
        kubectl, namespace, sandboxes.source("counter", {"counter.py": sandboxes.COUNTER})
    )
    ready(kubectl, namespace, "counter")
    sandboxes.wait_for(kubectl, namespace, "counter", "Stalled", "False")


def test_a_missing_source_is_waited_for(operator: Platform, namespace: str) -> None:
    kubectl = operator.kubectl
    source, sandbox = sandboxes.counter()
    sandboxes.apply(kubectl, namespace, sandbox)
    waiting = sandboxes.wait_for(
        kubectl, namespace, "counter", "Reconciling", "True", "SourceMissing"
    )
    assert "counter" in waiting["message"]
    sandboxes.apply(kubectl, namespace, source)
    ready(kubectl, namespace, "counter")


def test_a_source_without_its_label_is_said(operator: Platform, namespace: str) -> None:
    kubectl = operator.kubectl
    _, sandbox = sandboxes.counter()
    source = sandboxes.source("counter", {"counter.py": sandboxes.COUNTER}, labelled=False)
    sandboxes.apply(kubectl, namespace, source, sandbox)
    said = sandboxes.wait_for(kubectl, namespace, "counter", "Ready", "False", "SourceNotLabelled")
    assert "pluginsandbox.dev/source=true" in said["message"]
    kubectl("label", "configmap", "counter", "-n", namespace, "pluginsandbox.dev/source=true")
    ready(kubectl, namespace, "counter")


def test_a_wrong_digest_is_never_loaded(operator: Platform, namespace: str) -> None:
    kubectl = operator.kubectl
    source, _ = sandboxes.counter()
    wrong = sandboxes.plugin("counter", "counter:Counter", digest=f"sha256:{'0' * 64}")
    sandboxes.apply(kubectl, namespace, source, sandboxes.sandbox("counter", wrong))
    stalled = sandboxes.wait_for(kubectl, namespace, "counter", "Stalled", "True", "DigestMismatch")
    line = f"{hashlib.sha256(sandboxes.COUNTER.encode()).hexdigest()} counter.py\n"
    right = f"sha256:{hashlib.sha256(line.encode()).hexdigest()}"
    assert right in stalled["message"], "the message gives the digest that would match"
    assert not [each for each in sandboxes.owned(kubectl, namespace, "counter") if "Pod/" in each]
    mended = sandboxes.plugin("counter", "counter:Counter", digest=right)
    sandboxes.apply(kubectl, namespace, sandboxes.sandbox("counter", mended))
    ready(kubectl, namespace, "counter")


def test_a_missing_image_is_said_with_its_name(operator: Platform, namespace: str) -> None:
    kubectl = operator.kubectl
    reference = f"registry.invalid/nobody/nothing@sha256:{'1' * 64}"
    lost = {
        **sandboxes.plugin("counter", "counter:Counter"),
        "source": {"image": {"reference": reference, "path": "/plugin"}},
    }
    sandboxes.apply(kubectl, namespace, sandboxes.sandbox("counter", lost))
    waiting = sandboxes.wait_for(
        kubectl, namespace, "counter", "Reconciling", "True", "ImagePullFailed"
    )
    assert "registry.invalid/nobody/nothing" in waiting["message"]
    sandboxes.apply(kubectl, namespace, *sandboxes.counter())
    ready(kubectl, namespace, "counter")


def test_pods_that_no_node_takes_say_so_and_heal(operator: Platform, namespace: str) -> None:
    kubectl = operator.kubectl
    huge = {"resources": {"requests": {"cpu": "250"}}}
    sandboxes.apply(kubectl, namespace, *sandboxes.counter(host=huge))
    waiting = sandboxes.wait_for(
        kubectl, namespace, "counter", "Reconciling", "True", "Unschedulable"
    )
    assert "Insufficient cpu" in waiting["message"]
    sandboxes.apply(kubectl, namespace, *sandboxes.counter(host={}))
    ready(kubectl, namespace, "counter")


def test_a_foreign_object_of_the_same_name_is_not_adopted(
    operator: Platform, namespace: str
) -> None:
    kubectl = operator.kubectl
    foreign: dict[str, Any] = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "counter"},
        "spec": {"ports": [{"port": 1234}]},
    }
    kubectl("create", "-n", namespace, "-f", "-", stdin=json.dumps(foreign))
    before = kubectl.get("service", "counter", "-n", namespace)
    sandboxes.apply(kubectl, namespace, *sandboxes.counter())
    stalled = sandboxes.wait_for(kubectl, namespace, "counter", "Stalled", "True", "NameConflict")
    assert "Service" in stalled["message"]
    assert kubectl.get("service", "counter", "-n", namespace) == before
    kubectl.delete("service", "counter", "-n", namespace)
    ready(kubectl, namespace, "counter")


def test_wrong_yaml_is_refused_by_the_server_with_the_field(
    operator: Platform, namespace: str
) -> None:
    kubectl = operator.kubectl
    bad = sandboxes.sandbox("counter", sandboxes.plugin("Counter!", "counter"))
    with pytest.raises(shell.CommandError, match=r"spec\.plugins\[0\]\.name") as caught:
        sandboxes.apply(kubectl, namespace, bad)
    assert "entryPoint" in str(caught.value)


def test_an_object_from_before_the_operator_is_taken_up_and_a_killed_operator_goes_on(
    operator: Platform, namespace: str
) -> None:
    kubectl = operator.kubectl
    restarts = operator_restarts(kubectl)
    deployment = ("deployment/pluginsandbox", "-n", NAMESPACE)
    kubectl("scale", *deployment, "--replicas=0")
    until(
        "the operator is gone",
        lambda: not kubectl.get("pods", "-n", NAMESPACE)["items"],
    )
    sandboxes.apply(kubectl, namespace, *sandboxes.counter())
    kubectl("scale", *deployment, "--replicas=1")
    until(
        "the operator began",
        lambda: set(sandboxes.owned(kubectl, namespace, "counter")),
    )
    kubectl("delete", "pods", "--all", "-n", NAMESPACE, "--grace-period=0", "--force")
    ready(kubectl, namespace, "counter")
    kubectl("rollout", "status", *deployment, "--timeout=60s")
    assert sum(operator_restarts(kubectl)) <= sum(restarts), "no crash loop"
