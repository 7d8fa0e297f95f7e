"""Several pods serve one sandbox: no call fails and no context is lost as they come and go."""

from __future__ import annotations

import base64
import json
import secrets
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

from tests.bed import caller, load, pods, rolling, sandboxes
from tests.bed.kubectl import Kubectl, until
from tests.bed.platform import Platform
from tests.bed.shell import CommandError
from tests.cluster.choice import choose
from tests.e2e.conftest import answer, fresh_namespace, ready

pytestmark = pytest.mark.pods

Serving = tuple[Platform, str]
ADD = "/v1/plugins/tally/functions/add"


@pytest.fixture(scope="module")
def serving(operator: Platform) -> Iterator[Serving]:
    """A namespace in which the sandbox `tally` serves; each test scales it."""
    with fresh_namespace(operator.kubectl) as namespace:
        sandboxes.apply(operator.kubectl, namespace, *sandboxes.tally(replicas=1))
        ready(operator.kubectl, namespace, "tally")
        yield operator, namespace


def test_scaling_loses_no_context_and_fails_no_call(serving: Serving) -> None:
    cluster, namespace = serving
    kubectl = cluster.kubectl
    endpoint = kubectl.get("psb", "tally", "-n", namespace)["status"]["endpoint"]
    image = cluster.operator.name
    with load.running(kubectl, namespace, image, endpoint) as calling:
        calling.wait(300)
        for count, keyless in ((3, 8), (6, 0), (2, 0)):
            pods.scale(kubectl, namespace, "tally", count, keyless=keyless)
            calling.wait(300)
            conditions = sandboxes.conditions(kubectl, namespace, "tally")
            assert conditions["Reconciling"]["status"] == "False"
        books = calling.finish()
    assert books.clean, (books, books.notes)
    assert len(books.processes) == 2, "both pods that are left hold contexts"


def test_a_roll_out_under_load_fails_no_call_and_doubles_no_context(serving: Serving) -> None:
    cluster, namespace = serving
    pods.scale(cluster.kubectl, namespace, "tally", 3)
    books = rolling.roll(cluster, namespace, 2000)
    assert books.clean, (books, books.notes)
    assert books.renewed, "every pod was replaced"


def test_evictions_are_bounded(serving: Serving) -> None:
    cluster, namespace = serving
    kubectl = cluster.kubectl
    pods.scale(kubectl, namespace, "tally", 3)

    def counted() -> bool:
        status = kubectl.get("pdb", "tally", "-n", namespace)["status"]
        return bool((status["expectedPods"], status["disruptionsAllowed"]) == (3, 1))

    until("one pod of three may be evicted", counted)


def post(port: int, context: str, **headers: str) -> tuple[int, dict[str, str], Any]:
    """Call through a forwarded port."""
    url = f"http://127.0.0.1:{port}{ADD}"
    every = {"Sandbox-Context": context, "Content-Type": "application/json", **headers}
    return answer(urllib.request.Request(url, b"{}", every))


EXISTING = {"Sandbox-Bind": "existing"}


def settles(port: int, context: str) -> tuple[int, dict[str, str], Any]:
    """Ask for a context's state until it is known whether there is any."""

    def told() -> tuple[int, dict[str, str], Any] | None:
        found = post(port, context, **EXISTING)
        return found if found[0] in {200, 410} else None

    found: tuple[int, dict[str, str], Any] = until(f"{context} is answered", told)
    return found


def test_a_pod_killed_hard_loses_its_own_contexts_alone_and_callers_are_told(
    serving: Serving,
) -> None:
    if choose().kind != "local":
        pytest.skip("the host's process is on another machine")
    cluster, namespace = serving
    victim, witness, _ = pods.scale(cluster.kubectl, namespace, "tally", 3)
    contexts = [f"kill-{n}" for n in range(24)]
    with cluster.kubectl.forward(namespace, f"pod/{pods.name_of(victim)}", 8080) as port:
        before = {each: post(port, each) for each in contexts[:12]}
    with cluster.kubectl.forward(namespace, f"pod/{pods.name_of(witness)}", 8080) as port:
        before |= {each: post(port, each) for each in contexts[12:]}
        assert {status for status, _, _ in before.values()} == {200}
        pods.kill_host(victim)

        after = {each: settles(port, each) for each in contexts}
        gone = {each for each in contexts if after[each][0] == 410}
        process = {each: before[each][2][2] for each in contexts}
        assert gone, "the killed pod held some of them"
        assert {process[each] for each in gone}.isdisjoint(
            process[each] for each in contexts if each not in gone
        )
        assert len({process[each] for each in gone}) == 1
        for each in set(contexts) - gone:
            assert after[each][2][:2] == [before[each][2][0], before[each][2][1] + 1]
        for each in gone:
            status, headers, (_, count, _) = post(port, each)
            assert (status, count) == (200, 1)
            assert headers["Sandbox-Binding"].startswith("new")
            # Numbers of different pods are not in step; that of a binding comes once.
            assert generation(headers) != generation(before[each][1])


def generation(headers: dict[str, str]) -> int:
    return int(headers["Sandbox-Binding"].partition("generation=")[2])


def test_the_key_is_replaced_by_two_keys_under_load(serving: Serving) -> None:
    cluster, namespace = serving
    kubectl = cluster.kubectl
    pods.scale(kubectl, namespace, "tally", 3)
    endpoint = kubectl.get("psb", "tally", "-n", namespace)["status"]["endpoint"]
    old = kubectl.get("secret", "tally-peers", "-n", namespace)["data"]["key"]
    new = base64.b64encode(secrets.token_bytes(32)).decode()
    steps = ({"key": old, "previous": new}, {"key": new, "previous": old}, {"key": new})
    with load.running(kubectl, namespace, cluster.operator.name, endpoint) as calling:
        for data in steps:
            replace_key(kubectl, namespace, data)
            calling.wait(200)
        books = calling.finish()
    assert books.clean, (books, books.notes)
    assert not books.renewed, "every context stayed where it was"


def replace_key(kubectl: Kubectl, namespace: str, data: dict[str, str]) -> None:
    """Replace the key as docs/many-pods.md says, and wait until every pod has read it."""
    before = keys_read(kubectl, namespace)
    metadata = {"name": "tally-peers-rotation", "namespace": namespace}
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": data}
    kubectl.apply(json.dumps(secret))

    def read() -> bool:
        pods.hurry(kubectl, namespace, "tally")
        now = keys_read(kubectl, namespace)
        return all(now[pod] > times for pod, times in before.items())

    until("every pod has read its keys anew", read, every=1)


def keys_read(kubectl: Kubectl, namespace: str) -> dict[str, int]:
    """Return how often each pod has said that it read its keys."""
    names = [pods.name_of(each) for each in pods.of(kubectl, namespace, "tally")]
    return {
        name: kubectl("logs", name, "-n", namespace).count("keys of the peers read")
        for name in names
    }


CONNECT = """
import socket, sys
try:
    socket.create_connection((sys.argv[1], 8082), 3).close()
    print("open")
except OSError as error:
    print(type(error).__name__)
"""


def test_pods_of_another_sandbox_do_not_reach_the_door_of_peers(serving: Serving) -> None:
    if choose().kind == "user":
        pytest.skip("whether your cluster enforces NetworkPolicies is yours to know")
    cluster, namespace = serving
    kubectl = cluster.kubectl
    one, two, *_ = pods.scale(kubectl, namespace, "tally", 2)
    sandboxes.apply(kubectl, namespace, *sandboxes.tally("other", replicas=1))
    ready(kubectl, namespace, "other")
    (stranger,) = pods.of(kubectl, namespace, "other")

    def from_(pod: dict[str, Any]) -> str:
        address = two["status"]["podIP"]
        return pods.python(kubectl, namespace, pods.name_of(pod), CONNECT, address).strip()

    until("a peer gets through", lambda: from_(one) == "open")
    until("a stranger is kept out", lambda: from_(stranger) == "TimeoutError")
    kubectl.delete("psb", "other", "-n", namespace)


ASK = """
import http.client, json, sys
answers = []
for address in sys.argv[1:]:
    for method in ("GET", "POST", "PUT", "DELETE"):
        for path in ("/", "/v1/plugins", "/v1/plugins/tally/functions/add", "/stats", "/metrics",
                     "/contexts", "/healthz", "/peers", "/view", "/lookup", "/forward"):
            door = http.client.HTTPConnection(address, 8082, timeout=10)
            try:
                door.request(method, path, b"{}", {"Sandbox-Context": "wanted"})
                answer = door.getresponse()
                answers.append([answer.status, answer.read(1000).decode(errors="replace")])
            except (OSError, http.client.HTTPException) as error:
                answers.append([0, type(error).__name__])
            door.close()
print(json.dumps(answers))
"""


def test_a_pod_with_the_label_but_without_the_key_learns_nothing(serving: Serving) -> None:
    cluster, namespace = serving
    kubectl = cluster.kubectl
    members = pods.scale(kubectl, namespace, "tally", 2)
    with kubectl.forward(namespace, f"pod/{pods.name_of(members[0])}", 8080) as port:
        first = post(port, "wanted")
        assert first[0] == 200
        foreign = labelled(kubectl, namespace, cluster.operator.name)
        try:
            addresses = [each["status"]["podIP"] for each in members]
            said = json.loads(pods.python(kubectl, namespace, foreign, ASK, *addresses))
        finally:
            kubectl.delete("pod", foreign, "-n", namespace)
        assert not [each for each in said if 200 <= each[0] < 400], said
        assert not [each for each in said if "wanted" in each[1] or first[2][0] in each[1]]
        token, count, _ = post(port, "wanted", **EXISTING)[2]
    assert (token, count) == (first[2][0], first[2][1] + 1), "nothing was carried out for it"


def labelled(kubectl: Kubectl, namespace: str, image: str) -> str:
    """Start a pod that says it is of the sandbox; never ready, so the Service leaves it out."""
    body = caller.pod(namespace, image, name="foreign", labels={sandboxes.LABEL: "tally"})
    never = {"exec": {"command": ["python3", "-c", "raise SystemExit(1)"]}, "periodSeconds": 60}
    body["spec"]["containers"][0]["readinessProbe"] = never
    kubectl.apply(json.dumps(body))

    def runs() -> bool:
        try:
            return pods.python(kubectl, namespace, "foreign", "print(1)").strip() == "1"
        except CommandError:
            return False

    until("the foreign pod runs", runs)
    return "foreign"
