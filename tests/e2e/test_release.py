"""The chart's own life: upgraded under sandboxes that serve, uninstalled without losing them."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from tests.bed import sandboxes
from tests.bed.kubectl import until
from tests.bed.platform import NAMESPACE, RELEASE, Platform
from tests.e2e.conftest import ALLOW, Post, door, ready

pytestmark = pytest.mark.pods


class Caller(threading.Thread):
    """Calls without a pause until told to stop, and counts what failed."""

    def __init__(self, post: Post) -> None:
        super().__init__()
        self.post = post
        self.stop = threading.Event()
        self.answers = 0
        self.failures: list[object] = []

    def run(self) -> None:
        while not self.stop.wait(0.02):
            status, _, answer = self.post("counter", "add", context="upgrade")
            self.answers += 1
            if status != 200 or answer != self.answers:
                self.failures.append((status, answer))


def test_an_upgrade_of_the_chart_and_its_rollback_keep_sandboxes_serving(
    operator: Platform, namespace: str
) -> None:
    kubectl = operator.kubectl
    sandboxes.apply(kubectl, namespace, *sandboxes.counter())
    ready(kubectl, namespace, "counter")
    pods = ("pods", "-n", namespace, "-l", "pluginsandbox.dev/sandbox=counter")
    before = [each["metadata"]["uid"] for each in kubectl.get(*pods)["items"]]
    with door(kubectl, namespace, "counter") as post:
        caller = Caller(post)
        caller.start()
        try:
            operator.install({"allow": ALLOW, "podAnnotations": {"example.com/upgraded": "yes"}})
            _more_calls(caller)
            operator.helm_run(
                *("rollback", RELEASE, "--namespace", NAMESPACE, "--wait", "--timeout", "120s")
            )
            _more_calls(caller)
        finally:
            caller.stop.set()
            caller.join()
    assert caller.failures == []
    assert [each["metadata"]["uid"] for each in kubectl.get(*pods)["items"]] == before


def _more_calls(caller: Caller) -> None:
    goal = caller.answers + 20
    until("20 more calls", lambda: caller.answers >= goal)


@pytest.fixture
def reinstalled(operator: Platform) -> Iterator[Platform]:
    """Give the operator back to the tests that follow."""
    yield operator
    operator.install({"allow": ALLOW})


def test_uninstalling_keeps_the_kind_and_its_objects_and_their_pods(
    reinstalled: Platform, namespace: str
) -> None:
    kubectl = reinstalled.kubectl
    sandboxes.apply(kubectl, namespace, *sandboxes.counter())
    ready(kubectl, namespace, "counter")
    reinstalled.uninstall()
    until("no operator", lambda: not kubectl.get("pods", "-n", NAMESPACE)["items"])
    assert kubectl.find("psb", "counter", "-n", namespace)
    with door(kubectl, namespace, "counter") as post:
        assert post("counter", "add")[0] == 200
    reinstalled.install({"allow": ALLOW})
    ready(kubectl, namespace, "counter")
