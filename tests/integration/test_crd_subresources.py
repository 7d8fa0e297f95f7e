"""Defaults, status and scale behave on the real API server as the design counts on."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any

import pytest

from pluginsandbox.api.conditions import ConditionType, get_condition, set_condition
from pluginsandbox.api.reasons import Reason
from pluginsandbox.api.sandbox import PluginSandbox
from pluginsandbox.api.status import PluginStatus, SandboxStatus
from tests.bed.kubectl import Kubectl
from tests.bed.shell import CommandError
from tests.unit.api.objects import PLUGIN, sandbox

pytestmark = [pytest.mark.cluster, pytest.mark.usefixtures("crd")]

NOW = dt.datetime(2026, 11, 23, 12, 0, 0, 987654, tzinfo=dt.UTC)
DEFAULTS = {
    "contexts": {"idleTimeoutSeconds": 300, "deadlineSeconds": 3600},
    "host": {
        "resources": {"requests": {}, "limits": {}},
        "warmWorkers": 2,
        "confinement": "Strict",
        "queueTimeoutMilliseconds": 30000,
        "maxQueuedCalls": 1000,
        "terminationGraceSeconds": 30,
    },
    "pod": {},
    "network": {"policy": "Managed"},
    "operatingMode": "Running",
}
PLUGIN_DEFAULTS = {
    "isolation": "PerPlugin",
    "limits": {
        "memory": "64Mi",
        "callTimeoutMilliseconds": 1000,
        "workers": 1,
        "concurrency": 1,
        "requestBytes": "1Mi",
        "resultBytes": "1Mi",
        "durableBytes": "64Ki",
    },
}


class Shop:
    """The object `shop` in a namespace of the test's own."""

    def __init__(self, kubectl: Kubectl, namespace: str) -> None:
        self.namespace = namespace
        self._kubectl = kubectl

    def __call__(self, *words: str, stdin: str | None = None) -> str:
        return self._kubectl("-n", self.namespace, *words, stdin=stdin)

    def create(self, **changes: Any) -> Any:
        body = sandbox(**{"metadata.namespace": self.namespace, **changes})
        return json.loads(self("create", "-f", "-", "-o", "json", stdin=json.dumps(body)))

    def get(self) -> Any:
        return json.loads(self("get", "psb", "shop", "-o", "json"))

    def patch(self, patch: Any, *words: str) -> Any:
        text = json.dumps(patch)
        return json.loads(
            self("patch", "psb", "shop", "--type=merge", "-p", text, "-o", "json", *words)
        )

    def apply_status(self, status: Any, manager: str = "pluginsandbox-operator") -> Any:
        head = {"apiVersion": "pluginsandbox.dev/v1alpha1", "kind": "PluginSandbox"}
        body = json.dumps(head | {"metadata": {"name": "shop"}, "status": status})
        command = ("apply", "--server-side", "--subresource=status", f"--field-manager={manager}")
        return json.loads(self(*command, "-f", "-", "-o", "json", stdin=body))

    def scale(self) -> Any:
        return json.loads(self("get", "psb", "shop", "--subresource=scale", "-o", "json"))


@pytest.fixture
def shop(kubectl: Kubectl, namespace: str) -> Shop:
    return Shop(kubectl, namespace)


def test_the_server_writes_every_default_and_nothing_else(shop: Shop) -> None:
    spec = shop.create()["spec"]
    assert spec == {"plugins": [PLUGIN | PLUGIN_DEFAULTS], **DEFAULTS}


def test_the_status_is_born_unseen(shop: Shop) -> None:
    assert shop.create()["status"] == {"observedGeneration": -1}


def test_a_null_is_taken_for_an_absent_field(shop: Shop) -> None:
    spec = shop.create(replicas=None, contexts=None, **{"plugins.0.limits": None})["spec"]
    assert spec == {"plugins": [PLUGIN | PLUGIN_DEFAULTS], **DEFAULTS}


def test_the_status_that_the_models_write_is_what_the_server_keeps(shop: Shop) -> None:
    shop.create()
    written = SandboxStatus(
        observed_generation=1,
        conditions=set_condition(
            (), ConditionType.READY, "True", Reason.AVAILABLE, "1 of 1", generation=1, now=NOW
        ),
        replicas=1,
        ready_replicas=1,
        desired_replicas=1,
        selector="pluginsandbox.dev/sandbox=shop",
        endpoint="http://shop.test.svc:8080",
        plugins=(PluginStatus(name="inventory-check", state="Loaded", loaded_replicas=1),),
    )
    kept = shop.apply_status(written.dump())["status"]
    assert kept == written.dump()
    assert SandboxStatus.model_validate(kept) == written
    assert kept["conditions"][0]["lastTransitionTime"] == "2026-11-23T12:00:00Z"


def test_a_status_changes_no_generation_and_no_spec(shop: Shop) -> None:
    before = shop.create()
    shop.patch({"status": {"replicas": 1}, "spec": {"replicas": 0}}, "--subresource=status")
    after = shop.get()
    assert after["metadata"]["generation"] == before["metadata"]["generation"]
    assert after["spec"] == before["spec"]
    assert after["status"] == {"observedGeneration": -1, "replicas": 1}


def test_a_spec_changes_no_status(shop: Shop) -> None:
    shop.create()
    shop.patch({"status": {"replicas": 1}, "spec": {"operatingMode": "Suspended"}})
    assert shop.get()["status"] == {"observedGeneration": -1}


def test_conditions_of_two_managers_live_side_by_side(shop: Shop) -> None:
    shop.create()
    theirs = {"type": "Approved", "status": "True", "reason": "ByHand"}
    ours = {"type": "Ready", "status": "True", "reason": "Available"}
    shop.apply_status({"conditions": [ours]})
    shop.apply_status({"conditions": [theirs]}, "someone-else")
    conditions = PluginSandbox.read(shop.get()).status.conditions
    assert [condition.type for condition in conditions] == ["Ready", "Approved"]
    assert get_condition(conditions, ConditionType.STALLED) is None


@pytest.mark.parametrize(
    ("status", "message"),
    [
        ({"conditions": [{"type": "Ready", "status": "Yes", "reason": "A"}]}, '"True", "False"'),
        ({"conditions": [{"type": "Ready", "status": "True", "reason": "a b"}]}, "should match"),
        ({"conditions": [{"status": "True", "reason": "A"}]}, "type: Required value"),
        ({"replicas": -1}, "greater than or equal to 0"),
        ({"observedGeneration": -2}, "greater than or equal to -1"),
        ({"plugins": [{"name": "a", "state": "Broken"}]}, '"Pending", "Loaded", "Failed"'),
    ],
)
def test_a_status_that_lies_about_its_form_is_refused(
    shop: Shop, status: Any, message: str
) -> None:
    shop.create()
    with pytest.raises(CommandError, match=message):
        shop.patch({"status": status}, "--subresource=status")


def test_two_managers_own_a_plugin_each(shop: Shop) -> None:
    for name in ("first", "second"):
        body = sandbox(plugins=[PLUGIN | {"name": name}], **{"metadata.namespace": shop.namespace})
        shop("apply", "--server-side", f"--field-manager={name}", "-f", "-", stdin=json.dumps(body))
    assert [plugin["name"] for plugin in shop.get()["spec"]["plugins"]] == ["first", "second"]


def test_there_is_no_scale_while_replicas_is_absent(shop: Shop) -> None:
    shop.create()
    with pytest.raises(CommandError, match=r"spec\.replicas"):
        shop.scale()


def test_scale_shows_and_sets_replicas(shop: Shop) -> None:
    generation = shop.create(replicas=1)["metadata"]["generation"]
    status = {"replicas": 1, "selector": "pluginsandbox.dev/sandbox=shop"}
    shop.patch({"status": status}, "--subresource=status")
    assert (shop.scale()["spec"], shop.scale()["status"]) == ({"replicas": 1}, status)
    shop("scale", "psb/shop", "--replicas=0")
    assert shop.get()["spec"]["replicas"] == 0
    assert shop.get()["metadata"]["generation"] == generation + 1


def test_a_first_scale_seeds_replicas(shop: Shop) -> None:
    shop.create()
    shop("scale", "psb/shop", "--replicas=1")
    assert shop.scale()["spec"] == {"replicas": 1}


def test_scale_goes_to_a_thousand_pods_and_not_beyond(shop: Shop) -> None:
    shop.create(replicas=1)
    shop("scale", "psb/shop", "--replicas=1000")
    assert shop.scale()["spec"] == {"replicas": 1000}
    with pytest.raises(CommandError, match="less than or equal to 1000"):
        shop("scale", "psb/shop", "--replicas=1001")


def test_the_override_ends_with_a_null(shop: Shop) -> None:
    shop.create(replicas=0)
    assert "replicas" not in shop.patch({"spec": {"replicas": None}})["spec"]
