"""The cluster runs pods as a production cluster does, strictness included."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.bed.kubectl import Kubectl, until
from tests.bed.shell import CommandError
from tests.cluster.choice import choose
from tests.cluster.probe import load_files, load_probe

pytestmark = pytest.mark.pods

NAMESPACE = "cluster-pods"
RESTRICTED = {
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "capabilities": {"drop": ["ALL"]},
}


@pytest.fixture(scope="module")
def image(kubectl: Kubectl) -> str:
    assert kubectl.kubeconfig.exists()
    return load_probe(choose())


@pytest.fixture(scope="module", autouse=True)
def namespace(kubectl: Kubectl) -> Iterator[str]:
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    kubectl.delete("namespace", NAMESPACE)
    kubectl.apply(json.dumps(_object("Namespace", NAMESPACE, labels=labels)))
    yield NAMESPACE
    kubectl("delete", "namespace", NAMESPACE, "--wait=false")


def _object(kind: str, name: str, labels: dict[str, str], **rest: Any) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": kind, "metadata": {"name": name, "labels": labels}, **rest}


def _pod(name: str, image: str, *arguments: str, **rest: Any) -> dict[str, Any]:
    container = {
        "name": "main",
        "image": image,
        "imagePullPolicy": "Never",
        "args": list(arguments),
        "securityContext": RESTRICTED,
        "readinessProbe": {"httpGet": {"path": "/", "port": 8080}, "periodSeconds": 1},
        "volumeMounts": rest.pop("mounts", []),
    }
    spec = {
        "terminationGracePeriodSeconds": 0,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": 65532,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [container],
        **rest,
    }
    return _object("Pod", name, {"app": name}, spec=spec)


def _start(kubectl: Kubectl, pod: dict[str, Any]) -> None:
    name = pod["metadata"]["name"]
    kubectl.apply(json.dumps(pod), "-n", NAMESPACE)
    kubectl("wait", "-n", NAMESPACE, "--for=condition=Ready", f"pod/{name}", "--timeout=60s")


def test_a_restricted_pod_serves_and_can_be_looked_into(kubectl: Kubectl, image: str) -> None:
    _start(kubectl, _pod("server", image, "serve", ":8080"))

    said = kubectl(
        "exec", "-n", NAMESPACE, "server", "--", "/probe", "get", "http://127.0.0.1:8080"
    )
    assert said == "server\n"
    assert kubectl("logs", "-n", NAMESPACE, "server") == ""
    with kubectl.forward(NAMESPACE, "pod/server", 8080) as port:
        assert port > 0


def test_pod_security_refuses_a_privileged_pod(kubectl: Kubectl, image: str) -> None:
    pod = _pod("bold", image, "serve", ":8080", hostNetwork=True)

    with pytest.raises(CommandError, match="violates PodSecurity"):
        kubectl.apply(json.dumps(pod), "-n", NAMESPACE)


def test_an_image_volume_brings_the_files_of_an_image(kubectl: Kubectl, image: str) -> None:
    files = load_files(choose(), "pluginsandbox.local/files:1", {"plugin/note.txt": b"from image"})
    volume = {"name": "files", "image": {"reference": files, "pullPolicy": "IfNotPresent"}}
    mounts = [{"name": "files", "mountPath": "/files"}]
    command = ("serve", ":8080", "/files/plugin/note.txt")
    _start(kubectl, _pod("reader", image, *command, volumes=[volume], mounts=mounts))

    said = kubectl(
        "exec", "-n", NAMESPACE, "reader", "--", "/probe", "get", "http://127.0.0.1:8080"
    )
    assert said == "from image"


def test_a_service_is_reached_by_its_name_from_a_pod(kubectl: Kubectl, image: str) -> None:
    ports = {"selector": {"app": "named"}, "ports": [{"port": 80, "targetPort": 8080}]}
    kubectl.apply(json.dumps(_object("Service", "named", {}, spec=ports)), "-n", NAMESPACE)
    _start(kubectl, _pod("named", image, "serve", ":8080"))
    _start(kubectl, _pod("client", image, "serve", ":8080"))

    for host in ("named", f"named.{NAMESPACE}", f"named.{NAMESPACE}.svc.cluster.local"):
        ask = ("exec", "-n", NAMESPACE, "client", "--", "/probe", "get", f"http://{host}")
        until(f"{host} answers", functools.partial(kubectl, *ask), seconds=20)
        assert kubectl(*ask) == "named\n"


def test_an_admission_policy_is_enforced(kubectl: Kubectl) -> None:
    name = "cluster-pods-no-forbidden"
    selector = {"matchLabels": {"kubernetes.io/metadata.name": NAMESPACE}}
    rule = {"apiGroups": [""], "apiVersions": ["v1"], "resources": ["configmaps"]}
    version = "admissionregistration.k8s.io/v1"
    policy = {
        "apiVersion": version,
        "kind": "ValidatingAdmissionPolicy",
        "metadata": {"name": name},
        "spec": {
            "matchConstraints": {"resourceRules": [{**rule, "operations": ["CREATE"]}]},
            "validations": [
                {"expression": "object.metadata.name != 'forbidden'", "message": "not that name"}
            ],
        },
    }
    binding = {
        "apiVersion": version,
        "kind": "ValidatingAdmissionPolicyBinding",
        "metadata": {"name": name},
        "spec": {
            "policyName": name,
            "validationActions": ["Deny"],
            "matchResources": {"namespaceSelector": selector},
        },
    }
    create = ("create", "configmap", "forbidden", "-n", NAMESPACE, "--dry-run=server")
    try:
        for each in (policy, binding):
            kubectl.apply(json.dumps(each))
        refused = until("policy denies", lambda: kubectl.run(*create, check=False).returncode)
        assert refused == 1
        assert "not that name" in kubectl.run(*create, check=False).stderr
    finally:
        for kind in ("ValidatingAdmissionPolicyBinding", "ValidatingAdmissionPolicy"):
            kubectl.delete(kind, name)
