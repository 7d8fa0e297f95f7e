"""A release on real pods, in namespaced mode: installed, upgraded and uninstalled by Helm."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.bed import platform, sandboxes, shell
from tests.bed.kubectl import Kubectl, until
from tests.bed.platform import Platform

pytestmark = [pytest.mark.pods, pytest.mark.usefixtures("crd")]

NAME = "namespaced-pluginsandbox"
CHILDREN = {"ConfigMap", "Deployment", "NetworkPolicy", "Service"}
Release = Callable[..., str]


@pytest.fixture
def namespaces(kubectl: Kubectl) -> Iterator[tuple[str, str]]:
    """The operator's namespace, which enforces `restricted`, and one that it watches."""
    home, watched = (f"release-{secrets.token_hex(4)}" for _ in range(2))
    for name in (home, watched):
        kubectl("create", "namespace", name)
    kubectl("label", "namespace", home, "pod-security.kubernetes.io/enforce=restricted")
    yield home, watched
    kubectl("delete", "namespace", home, watched, "--wait=false")


@pytest.fixture
def release(cluster: Platform, namespaces: tuple[str, str]) -> Iterator[Release]:
    """Install or upgrade a release with values on top of the mode's own."""
    home, watched = namespaces
    fixed = {
        "image": {"repository": cluster.operator.repository, "tag": cluster.operator.tag},
        "crds": {"install": False},
        "replicaCount": 2,
        "watchNamespaces": [watched],
    }

    def upgrade(**values: object) -> str:
        return cluster.helm_run(
            *("upgrade", "--install", "namespaced", platform.CHART, "--namespace", home),
            *("--wait", "--timeout", "120s", "--values", "-"),
            stdin=json.dumps({**fixed, **values}),
        )

    yield upgrade
    cluster.helm_run("uninstall", "namespaced", "--namespace", home, "--ignore-not-found")


def pods(kubectl: Kubectl, namespace: str) -> list[dict[str, Any]]:
    found = kubectl.get("pods", "-n", namespace, "-l", "app.kubernetes.io/component=operator")
    return [each for each in found["items"] if "deletionTimestamp" not in each["metadata"]]


def kinds(kubectl: Kubectl, namespace: str) -> set[str]:
    return {each.partition("/")[0] for each in sandboxes.owned(kubectl, namespace, "counter")}


def leader(kubectl: Kubectl, namespace: str) -> str:
    try:
        lease = kubectl.get("lease", NAME, "-n", namespace)
    except shell.CommandError:
        return ""
    return str(lease["spec"].get("holderIdentity") or "").partition("_")[0]


def test_a_release_lives_with_its_roles_alone(
    kubectl: Kubectl, release: Release, namespaces: tuple[str, str]
) -> None:
    home, watched = namespaces
    assert watched in release()
    first = {each["metadata"]["name"] for each in pods(kubectl, home)}
    assert len(first) == 2
    assert until("one of them leads", lambda: leader(kubectl, home)) in first
    sandboxes.apply(kubectl, watched, *sandboxes.counter(operatingMode="Suspended"))
    until("its children", lambda: kinds(kubectl, watched) >= CHILDREN)
    until("its status", lambda: sandboxes.conditions(kubectl, watched, "counter"))
    logs = [kubectl("logs", name, "-n", home) for name in first]
    assert all("operator started" in text for text in logs)
    assert not [text for text in logs if "forbidden" in text.lower() or "cannot watch" in text]

    release(memory={"maximum": "2Gi"})
    second = {each["metadata"]["name"] for each in pods(kubectl, home)}
    assert len(second) == 2
    assert not first & second
    until("a new one leads", lambda: leader(kubectl, home) in second)

    release(memory={"maximum": "2Gi"}, metrics={"service": False})
    assert {each["metadata"]["name"] for each in pods(kubectl, home)} == second


def test_uninstalling_leaves_the_kind_and_nothing_else(
    cluster: Platform, crd: str, release: Release, namespaces: tuple[str, str]
) -> None:
    home, watched = namespaces
    kubectl = cluster.kubectl
    release(rbac={"aggregate": False}, replicaCount=1)
    cluster.helm_run("uninstall", "namespaced", "--namespace", home, "--wait")
    label = ("-l", "app.kubernetes.io/instance=namespaced", "-o", "name")
    for left, namespace in (("deploy,cm,svc,sa,role,rolebinding", home), ("role", watched)):
        assert kubectl("get", left, "-n", namespace, *label).split() == []
    assert kubectl.find("crd", crd)
