"""The real API server takes what the chart renders, and grants its account just what it lists."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Iterator

import pytest

from tests.bed import platform, shell
from tests.bed.kubectl import Kubectl
from tests.cluster import tools

pytestmark = [pytest.mark.cluster, pytest.mark.usefixtures("crd")]

CanI = Callable[..., bool]

# What lies behind the colon is a subresource.
NEVER = (
    ("get", "secrets"),
    ("list", "secrets"),
    ("watch", "secrets"),
    ("update", "secrets"),
    ("patch", "secrets"),
    ("delete", "secrets"),
    ("create", "pods"),
    ("delete", "pods"),
    ("create", "pods:exec"),
    ("get", "nodes"),
    ("list", "namespaces"),
    ("update", "pluginsandboxes.pluginsandbox.dev"),
    ("patch", "pluginsandboxes.pluginsandbox.dev"),
    ("delete", "pluginsandboxes.pluginsandbox.dev"),
    ("delete", "deployments.apps"),
    ("delete", "services"),
    ("delete", "poddisruptionbudgets.policy"),
    ("create", "roles.rbac.authorization.k8s.io"),
    ("get", "customresourcedefinitions.apiextensions.k8s.io"),
    ("impersonate", "users"),
)
NEEDED = (
    ("watch", "pluginsandboxes.pluginsandbox.dev"),
    ("patch", "pluginsandboxes.pluginsandbox.dev:status"),
    ("create", "configmaps"),
    ("delete", "configmaps"),
    ("patch", "deployments.apps"),
    ("create", "services"),
    ("create", "secrets"),
    ("watch", "poddisruptionbudgets.policy"),
    ("patch", "poddisruptionbudgets.policy"),
    ("list", "replicasets.apps"),
    ("watch", "pods"),
    ("delete", "networkpolicies.networking.k8s.io"),
    ("create", "events.events.k8s.io"),
)


@pytest.fixture
def namespaces(kubectl: Kubectl) -> Iterator[tuple[str, str, str]]:
    """Three fresh namespaces: the operator's, a watched one, another one."""
    names = [f"chart-{secrets.token_hex(4)}" for _ in range(3)]
    for name in names:
        kubectl("create", "namespace", name)
    kubectl("label", "namespace", names[0], "pod-security.kubernetes.io/enforce=restricted")
    yield names[0], names[1], names[2]
    kubectl("delete", "namespace", *names, "--wait=false")


@pytest.fixture
def install(kubectl: Kubectl, namespaces: tuple[str, str, str]) -> Iterator[Callable[..., CanI]]:
    """Install the chart, with no pods; gives a way to ask what its account may do."""
    home = namespaces[0]
    helm = (tools.find("helm"), "--kubeconfig", kubectl.kubeconfig, "--namespace", home)

    def installed(**values: object) -> CanI:
        fixed = {"replicaCount": 0, "crds": {"install": False}}
        shell.run(
            *(*helm, "install", "rights", platform.CHART, "--wait", "--values", "-"),
            stdin=json.dumps({**fixed, **values}),
        )

        def can_i(verb: str, resource: str, namespace: str) -> bool:
            account = f"--as=system:serviceaccount:{home}:rights-pluginsandbox"
            name, _, part = resource.partition(":")
            words = ("auth", "can-i", verb, name, "-n", namespace, account)
            asked = kubectl.run(*words, f"--subresource={part}", check=False)
            return asked.stdout.strip() == "yes"

        return can_i

    yield installed
    shell.run(*helm, "uninstall", "rights", "--ignore-not-found", "--wait")


def test_a_cluster_wide_operator_may_do_its_work_and_no_more(
    install: Callable[..., CanI], namespaces: tuple[str, str, str]
) -> None:
    can_i = install()
    anywhere = namespaces[1]
    assert [each for each in NEEDED if not can_i(*each, anywhere)] == []
    assert [each for each in NEVER if can_i(*each, anywhere)] == []
    assert can_i("update", "leases.coordination.k8s.io/rights-pluginsandbox", namespaces[0])
    assert not can_i("update", "leases.coordination.k8s.io/other", namespaces[0])
    assert not can_i("create", "leases.coordination.k8s.io", anywhere)


def test_a_namespaced_operator_sees_its_namespaces_alone(
    install: Callable[..., CanI], namespaces: tuple[str, str, str]
) -> None:
    home, watched, other = namespaces
    can_i = install(
        watchNamespaces=[watched],
        allow=[{"fields": ["pod.labels"], "namespaces": {"matchLabels": {"team": "x"}}}],
    )
    assert [each for each in NEEDED if not can_i(*each, watched)] == []
    for elsewhere in (other, home):
        assert [each for each in NEEDED if can_i(*each, elsewhere)] == []
    assert can_i("get", f"namespaces/{watched}", watched)
    assert not can_i("get", f"namespaces/{other}", other)


def test_the_server_takes_every_object_that_the_chart_can_render(
    kubectl: Kubectl, namespaces: tuple[str, str, str]
) -> None:
    home, watched, _ = namespaces
    values = {
        "replicaCount": 2,
        "watchNamespaces": [watched],
        "networkPolicy": {"enabled": True},
        "monitoring": {"namespace": "monitoring"},
        "podLabels": {"team": "platform"},
        "topologySpreadConstraints": [
            {"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "ScheduleAnyway"}
        ],
    }
    text = shell.run(
        *(tools.find("helm"), "template", "rights", platform.CHART, "--namespace", home),
        *("--values", "-"),
        stdin=json.dumps(values),
    ).stdout
    said = kubectl.run(
        *("apply", "--server-side", "--dry-run=server", "--force-conflicts", "-f", "-"), stdin=text
    )
    assert "Warning" not in said.stderr
    assert "poddisruptionbudget.policy/rights-pluginsandbox serverside-applied" in said.stdout
