"""What the status says of a sandbox of several pods."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from pluginsandbox.controller.decide import decide
from pluginsandbox.controller.rollout import Memory
from tests.unit.controller.lives import COUNTS, Life, done, told_by
from tests.unit.controller.worlds import (
    SETTINGS,
    pod,
    sandbox,
    told,
)


def several(life: Life, ready: int, wanted: int, **status: int) -> dict[str, Any]:
    """Return what is reported when `ready` of `wanted` pods are ready."""
    template = life.decision.template
    pods = tuple(pod(template, f"shop-{n}", ready=n < ready) for n in range(wanted))
    stats = {each["metadata"]["uid"]: told() for each in pods[:ready]}
    counts = {**COUNTS, "replicas": wanted, "updatedReplicas": wanted, "readyReplicas": ready}
    children = life.deployment(**{**counts, **status})
    return life.look(children=children, pods=pods, stats=stats)


def message_of(status: dict[str, Any], kind: str) -> str:
    return next(str(each["message"]) for each in status["conditions"] if each["type"] == kind)


def test_one_ready_pod_of_several_is_ready_and_the_message_says_how_many_and_why() -> None:
    life = done(replicas=5)
    status = several(life, ready=5, wanted=5)
    assert told_by(status)["Ready"] == ("True", "Available")
    assert message_of(status, "Ready") == "5 of 5 pods are ready"
    status = several(life, ready=1, wanted=5)
    assert told_by(status)["Ready"] == ("True", "Available")
    assert message_of(status, "Ready").startswith("1 of 5 pods are ready")
    full = {"type": "PodScheduled", "status": "False", "message": "0/3 nodes are available"}
    lost = pod(life.decision.template, "shop-9", ready=False, status={"conditions": [full]})
    status = life.look(pods=(*life.world.pods, lost))
    assert "0/3 nodes are available" in message_of(status, "Ready")
    assert told_by(status)["Reconciling"] == ("False", "RolledOut")


def test_no_ready_pod_of_several_is_not_ready() -> None:
    life = done(replicas=3)
    several(life, ready=3, wanted=3)
    status = several(life, ready=0, wanted=3)
    assert told_by(status)["Ready"] == ("False", "PodsNotReady")
    assert told_by(status)["Reconciling"] == ("False", "RolledOut")


@pytest.mark.parametrize("restarted", [False, True])
@pytest.mark.parametrize("wanted", [6, 1])
def test_a_scaling_step_is_no_roll_out(*, wanted: int, restarted: bool) -> None:
    life = done(replicas=3)
    several(life, ready=3, wanted=3)
    life.memory = Memory() if restarted else life.memory
    scaled = sandbox(replicas=wanted, generation=2)
    life.world = dataclasses.replace(life.world, sandbox=scaled)
    life.decision = decide(life.world, SETTINGS)
    for seen in (1, 2):
        status = several(life, ready=3, wanted=3, observedGeneration=seen)
        assert told_by(status)["Reconciling"] == ("False", "RolledOut")
        assert told_by(status)["Ready"][0] == "True"
        assert status["desiredReplicas"] == wanted


@pytest.mark.parametrize("restarted", [False, True])
def test_more_pods_that_are_not_asked_for_yet_are_not_said_to_be_there(*, restarted: bool) -> None:
    life = done()
    before = life.look()
    life.memory = Memory() if restarted else life.memory
    life.world = dataclasses.replace(life.world, sandbox=sandbox(replicas=2, generation=2))
    life.decision = decide(life.world, SETTINGS)
    status = life.look(waiting=True)  # the key of the peers may be about to go
    assert told_by(before)["Reconciling"] == ("False", "RolledOut")
    assert told_by(status)["Reconciling"] == ("True", "RollingOut")
    assert told_by(several(life, ready=2, wanted=2))["Ready"] == ("True", "Available")


@pytest.mark.parametrize("restarted", [False, True])
def test_what_was_rolled_out_stays_so_while_a_child_waits_for_its_name(*, restarted: bool) -> None:
    life = done()
    progress = {"type": "Progressing", "status": "True", "reason": "NewReplicaSetAvailable"}
    before = life.look(children=life.deployment(**COUNTS, conditions=[progress]))
    life.memory = Memory() if restarted else life.memory
    assert life.look(waiting=True) == before


def test_plugins_are_judged_by_the_hosts_that_were_read() -> None:
    life = done(replicas=3)
    status = several(life, ready=3, wanted=3)
    assert message_of(status, "PluginsLoaded") == "1 plugin on 3 pods"
    assert status["plugins"][0]["loadedReplicas"] == 3
    one = dict(list(life.world.stats.items())[:1])
    status = life.look(stats=one)
    assert told_by(status)["PluginsLoaded"] == ("True", "AllLoaded")
    assert "1 of 3 pods" in message_of(status, "PluginsLoaded")
    assert told_by(status)["Confined"] == ("True", "Proven")
    assert told_by(life.look(stats={}))["PluginsLoaded"] == ("Unknown", "HostsUnreachable")


def test_the_worst_host_counts() -> None:
    life = done(replicas=3)
    several(life, ready=3, wanted=3)
    loading, failed = told("Pending"), told("Failed", reason="ImportFailed", message="no module")
    uids = list(life.world.stats)
    status = life.look(stats={**life.world.stats, uids[1]: loading})
    assert told_by(status)["PluginsLoaded"] == ("False", "Loading")
    assert status["plugins"][0]["state"] == "Pending"
    status = life.look(stats={**life.world.stats, uids[1]: loading, uids[2]: failed})
    assert told_by(status)["PluginsLoaded"] == ("False", "PluginInvalid")
    assert (status["plugins"][0]["state"], status["plugins"][0]["loadedReplicas"]) == ("Failed", 1)
