"""A sandbox serves calls on real pods: state stays apart, and crashes stay where they happen."""

from __future__ import annotations

import pytest

from tests.bed import caller, sandboxes
from tests.bed.kubectl import until
from tests.bed.platform import Platform
from tests.e2e.conftest import door, ready

pytestmark = pytest.mark.pods

SHARED = """
import json, sys

from pluginsandbox.sdk import Plugin, function


class Shared(Plugin):
    @function
    def references(self) -> int:
        return sys.getrefcount(json.dumps)
"""
IMMORTAL = 0xFFFFFFFF
"""A count of references that CPython 3.12 and newer leaves alone."""


def test_contexts_and_plugins_keep_their_state_apart(operator: Platform, namespace: str) -> None:
    kubectl = operator.kubectl
    two = sandboxes.sandbox(
        "two",
        sandboxes.plugin("counter", "counter:Counter"),
        {
            **sandboxes.plugin("other", "counter:Counter"),
            "source": {"configMap": {"name": "counter"}},
        },
        {
            **sandboxes.plugin("alone", "counter:Counter", isolation="PerContext"),
            "source": {"configMap": {"name": "counter"}},
        },
    )
    source = sandboxes.source("counter", {"counter.py": sandboxes.COUNTER})
    sandboxes.apply(kubectl, namespace, source, two)
    ready(kubectl, namespace, "two")
    with door(kubectl, namespace, "two") as post:
        for plugin in ("counter", "other", "alone"):
            for context, amount in (("a", 1), ("b", 10)):
                assert [post(plugin, "add", context=context, amount=amount)[2] for _ in "123"] == [
                    amount,
                    2 * amount,
                    3 * amount,
                ]
        assert post("counter", "add")[2] == 1, "no context given: fresh state"


def test_a_neighbour_reaches_the_sandbox_through_its_service_by_name(
    operator: Platform, namespace: str
) -> None:
    kubectl = operator.kubectl
    sandboxes.apply(kubectl, namespace, *sandboxes.counter())
    ready(kubectl, namespace, "counter")
    endpoint = kubectl.get("psb", "counter", "-n", namespace)["status"]["endpoint"]
    assert endpoint.startswith(f"http://counter.{namespace}.svc")
    neighbour = caller.start(kubectl, namespace, operator.operator.name, endpoint)
    first = neighbour.call("counter", "add", context="c", amount=5)
    second = neighbour.call("counter", "add", context="c", amount=5)
    assert (first.result, second.result) == (5, 10)
    assert "new" in first.binding
    assert "live" in second.binding
    assert all(name in first.timing for name in ("queue;", "bind;", "call;"))


def test_workers_of_the_image_do_not_write_to_what_they_share(
    operator: Platform, namespace: str
) -> None:
    kubectl = operator.kubectl
    shared = sandboxes.source("shared", {"shared.py": SHARED})
    own = sandboxes.plugin("shared", "shared:Shared")
    sandboxes.apply(kubectl, namespace, shared, sandboxes.sandbox("shared", own))
    ready(kubectl, namespace, "shared")
    with door(kubectl, namespace, "shared") as post:
        assert post("shared", "references")[2] == IMMORTAL


def test_a_crash_takes_its_own_worker_and_nothing_else(operator: Platform, namespace: str) -> None:
    kubectl = operator.kubectl
    sandboxes.apply(
        kubectl,
        namespace,
        sandboxes.source("counter", {"counter.py": sandboxes.COUNTER}),
        sandboxes.source("crasher", {"crasher.py": sandboxes.CRASHER}),
        sandboxes.sandbox(
            "mixed",
            sandboxes.plugin("counter", "counter:Counter"),
            sandboxes.plugin("crasher", "crasher:Crasher"),
        ),
    )
    ready(kubectl, namespace, "mixed")
    with door(kubectl, namespace, "mixed") as post:
        assert post("counter", "add", context="c")[2] == 1
        status, _, problem = post("crasher", "crash", context="c")
        assert (status, problem["executed"]) == (502, "maybe")
        assert post("counter", "add", context="c")[2] == 2
        until("the crashed plugin answers again", lambda: post("crasher", "ping")[2] == "pong")
        gone = post("crasher", "ping", context="c", headers={"Sandbox-Bind": "existing"})
        assert gone[0] == 410
        assert "Crashed" in str(gone[2])
    pod = kubectl.get("pods", "-n", namespace, "-l", "pluginsandbox.dev/sandbox=mixed")["items"][0]
    assert pod["status"]["containerStatuses"][0]["restartCount"] == 0


def test_the_pod_is_restricted_and_carries_no_token(operator: Platform, namespace: str) -> None:
    kubectl = operator.kubectl
    sandboxes.apply(kubectl, namespace, *sandboxes.counter())
    ready(kubectl, namespace, "counter")
    pod = kubectl.get("pods", "-n", namespace, "-l", "pluginsandbox.dev/sandbox=counter")["items"][
        0
    ]
    projected = [volume.get("projected", {"sources": []}) for volume in pod["spec"]["volumes"]]
    assert not [
        source
        for each in projected
        for source in each["sources"]
        if "serviceAccountToken" in source
    ]
    assert pod["spec"]["automountServiceAccountToken"] is False
    container = pod["spec"]["containers"][0]
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    confined = sandboxes.wait_for(kubectl, namespace, "counter", "Confined", "True")
    assert confined["message"]
