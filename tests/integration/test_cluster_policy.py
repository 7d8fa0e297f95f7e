"""NetworkPolicies are enforced; where a cluster does not, the tests that need it can say so."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest

from tests.bed.kubectl import Kubectl, until
from tests.bed.shell import CommandError
from tests.cluster.choice import choose
from tests.cluster.probe import load_probe

pytestmark = pytest.mark.pods

HERE, ELSEWHERE = "cluster-policy", "cluster-policy-other"
PODS = ((HERE, "server"), (HERE, "friend"), (HERE, "stranger"), (ELSEWHERE, "friend"))


@pytest.fixture(scope="module", autouse=True)
def pods(kubectl: Kubectl) -> Iterator[None]:
    if choose().kind == "user":
        pytest.skip("whether your cluster enforces NetworkPolicies is yours to know")
    image = load_probe(choose())
    kubectl.delete("namespace", HERE, ELSEWHERE)
    for namespace in (HERE, ELSEWHERE):
        kubectl("create", "namespace", namespace)
    for namespace, name in PODS:
        kubectl.apply(json.dumps(_pod(name, image)), "-n", namespace)
    kubectl("expose", "pod", "server", "-n", HERE, "--port=80", "--target-port=8080")
    for namespace, name in PODS:
        kubectl("wait", "-n", namespace, "--for=condition=Ready", f"pod/{name}", "--timeout=60s")
    yield
    kubectl("delete", "namespace", HERE, ELSEWHERE, "--wait=false")


@pytest.fixture(autouse=True)
def no_policy_left(kubectl: Kubectl) -> Iterator[None]:
    yield
    kubectl("delete", "networkpolicy", "--all", "-n", HERE)


def _pod(name: str, image: str) -> dict[str, Any]:
    container = {
        "name": "main",
        "image": image,
        "imagePullPolicy": "Never",
        "args": ["serve", ":8080"],
        "readinessProbe": {"httpGet": {"path": "/", "port": 8080}, "periodSeconds": 1},
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": {"app": name}},
        "spec": {"terminationGracePeriodSeconds": 0, "containers": [container]},
    }


def _apply(kubectl: Kubectl, app: str, **rules: Any) -> None:
    kinds = [kind for kind in ("Ingress", "Egress") if kind.lower() in rules]
    selector = {"podSelector": {"matchLabels": {"app": app}}, "policyTypes": kinds}
    policy = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": app},
        "spec": {**selector, **rules},
    }
    kubectl.apply(json.dumps(policy), "-n", HERE)


def _reaches(kubectl: Kubectl, namespace: str, name: str, host: str) -> bool:
    get = ("/probe", "get", f"http://{host}")
    try:
        return kubectl("exec", "-n", namespace, name, "--", *get) == "server\n"
    except CommandError:
        return False


def _settles(kubectl: Kubectl, client: tuple[str, str], host: str, *, reached: bool) -> None:
    what = f"{client} {'reaches' if reached else 'is kept from'} {host}"
    until(what, lambda: _reaches(kubectl, *client, host) is reached, seconds=20)


def test_only_those_whom_a_policy_names_get_in(kubectl: Kubectl) -> None:
    service = f"server.{HERE}"
    address = kubectl.get("pod", "server", "-n", HERE)["status"]["podIP"] + ":8080"
    for client in PODS[1:]:
        _settles(kubectl, client, service, reached=True)

    tried: list[Future[None]] = []
    friends = [{"from": [{"podSelector": {"matchLabels": {"app": "friend"}}}]}]
    _apply(kubectl, "server", ingress=friends)

    # At once: each that is kept out waits as long as any.
    with ThreadPoolExecutor() as at_once:
        for host, client in itertools.product((service, address), PODS[1:]):
            friend = client == (HERE, "friend")
            tried.append(at_once.submit(_settles, kubectl, client, host, reached=friend))
    for each in tried:
        each.result()
    kubectl("wait", "-n", HERE, "--for=condition=Ready", "pod/server", "--timeout=1s")

    kubectl("delete", "networkpolicy", "server", "-n", HERE)
    _settles(kubectl, (HERE, "stranger"), service, reached=True)


def test_a_namespace_can_be_let_in_at_one_port(kubectl: Kubectl) -> None:
    team = {"matchLabels": {"kubernetes.io/metadata.name": ELSEWHERE}}
    peers = [{"namespaceSelector": team}]
    _apply(kubectl, "server", ingress=[{"from": peers, "ports": [{"port": 8080}]}])

    _settles(kubectl, (HERE, "friend"), f"server.{HERE}", reached=False)
    _settles(kubectl, (ELSEWHERE, "friend"), f"server.{HERE}", reached=True)

    _apply(kubectl, "server", ingress=[{"from": peers, "ports": [{"port": 9090}]}])
    _settles(kubectl, (ELSEWHERE, "friend"), f"server.{HERE}", reached=False)


def test_a_pod_gets_out_only_where_a_policy_lets_it(kubectl: Kubectl) -> None:
    dns = {
        "to": [{"namespaceSelector": {}, "podSelector": {"matchLabels": {"k8s-app": "kube-dns"}}}],
        "ports": [{"port": 53, "protocol": "UDP"}, {"port": 53, "protocol": "TCP"}],
    }
    _apply(kubectl, "friend", egress=[dns])
    _settles(kubectl, (HERE, "friend"), f"server.{HERE}", reached=False)
    _settles(kubectl, (HERE, "stranger"), f"server.{HERE}", reached=True)

    server = {"to": [{"podSelector": {"matchLabels": {"app": "server"}}}]}
    _apply(kubectl, "friend", egress=[dns, server])
    _settles(kubectl, (HERE, "friend"), f"server.{HERE}", reached=True)
