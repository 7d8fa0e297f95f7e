"""The managed NetworkPolicy does what it says, on real pods of a cluster that enforces it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.bed import caller, pods, sandboxes
from tests.bed.kubectl import Kubectl, until
from tests.bed.platform import Platform
from tests.cluster.choice import choose
from tests.e2e.conftest import fresh_namespace, ready

pytestmark = pytest.mark.pods

# All at once: each that is shut out waits as long as any.
CONNECT = """
import concurrent.futures, json, socket, sys

def outcome(target):
    try:
        socket.create_connection(tuple(target), 3).close()
        return "open"
    except OSError as error:
        return type(error).__name__

with concurrent.futures.ThreadPoolExecutor() as all_at_once:
    print(json.dumps(list(all_at_once.map(outcome, json.loads(sys.argv[1])))))
"""
OPEN, SHUT = "open", "TimeoutError"
Target = tuple[str, int]
Try = Callable[..., list[str]]


@pytest.fixture
def elsewhere(operator: Platform) -> Iterator[str]:
    """Another namespace."""
    with fresh_namespace(operator.kubectl) as name:
        yield name


def started(kubectl: Kubectl, namespace: str, image: str) -> Try:
    """Start a pod that is no sandbox's; return a way to connect from it."""
    kubectl.apply(json.dumps(caller.pod(namespace, image, name="friend", labels={})))
    kubectl("wait", "-n", namespace, "--for=condition=Ready", "pod/friend", "--timeout=60s")
    return lambda *targets: _connect(kubectl, namespace, "friend", *targets)


def _connect(kubectl: Kubectl, namespace: str, pod: str, *targets: Target) -> list[str]:
    told = pods.python(kubectl, namespace, pod, CONNECT, json.dumps(targets))
    outcomes: list[str] = json.loads(told)
    return outcomes


def _settles(what: str, connect: Try, address: str, ports: dict[int, str]) -> None:
    targets = [(address, port) for port in ports]
    until(what, lambda: connect(*targets) == list(ports.values()))


def test_only_whom_the_sandbox_lets_in_gets_in_and_nothing_gets_out(
    operator: Platform, namespace: str, elsewhere: str
) -> None:
    if choose().kind == "user":
        pytest.skip("whether your cluster enforces NetworkPolicies is yours to know")
    kubectl, image = operator.kubectl, operator.operator.name
    sandboxes.apply(kubectl, namespace, *sandboxes.counter())
    ready(kubectl, namespace, "counter")
    near, far = (started(kubectl, each, image) for each in (namespace, elsewhere))
    (host,) = pods.of(kubectl, namespace, "counter")
    address = host["status"]["podIP"]
    _settles(
        "a neighbour gets in at 8080 alone", near, address, {8080: OPEN, 8082: SHUT, 9090: SHUT}
    )
    _settles("others do not", far, address, {8080: SHUT, 8082: SHUT, 9090: SHUT})

    team = {"matchLabels": {"kubernetes.io/metadata.name": elsewhere}}
    network: Any = {"allowFrom": [{"namespaceSelector": team}]}
    sandboxes.apply(kubectl, namespace, *sandboxes.counter(network=network))
    _settles("those it names get in", far, address, {8080: OPEN, 8082: SHUT, 9090: SHUT})
    _settles("and only they", near, address, {8080: SHUT, 8082: SHUT, 9090: SHUT})

    inside = pods.name_of(host)
    stranger = kubectl.get("pod", "friend", "-n", elsewhere)["status"]["podIP"]
    server = kubectl.get("service", "kubernetes", "-n", "default")["spec"]["clusterIP"]
    outside = (stranger, 8080), (server, 443)
    assert _connect(kubectl, namespace, inside, *outside) == [SHUT, SHUT]
