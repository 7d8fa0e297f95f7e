"""What the status says, and what kstatus, Argo CD and `kubectl wait` make of it."""

from __future__ import annotations

import dataclasses
import datetime as dt
from typing import Any

import pytest

from pluginsandbox.api.reasons import Reason
from pluginsandbox.api.status import SandboxStatus
from pluginsandbox.controller import kinds
from pluginsandbox.controller.decide import decide
from pluginsandbox.controller.observed import Problem
from pluginsandbox.controller.rollout import Memory
from pluginsandbox.controller.status import trouble, unreadable
from tests.integration.operator.rules import kstatus
from tests.unit.controller.lives import COUNTS, Life, done, fresh, told_by
from tests.unit.controller.worlds import (
    KEY,
    NOW,
    SETTINGS,
    live,
    pod,
    rolled_out,
    sandbox,
)

TROUBLE = Problem(Reason.REQUEST_REFUSED, "no")


EDIT = Problem(Reason.NAME_CONFLICT, "taken", edit=True)


def test_a_new_sandbox_is_in_progress_and_all_conditions_are_there() -> None:
    life = fresh()
    status = life.look()
    assert told_by(status) == {
        "Ready": ("Unknown", "Progressing"),
        "Reconciling": ("True", "RollingOut"),
        "Stalled": ("False", "NotStalled"),
        "PluginsLoaded": ("Unknown", "NoPods"),
        "Confined": ("Unknown", "NoPods"),
    }
    assert kstatus(status, 1) == "InProgress"
    assert life.recheck == 120
    assert all(each["observedGeneration"] == 1 for each in status["conditions"])
    assert status["plugins"] == [
        {"name": "counter", "digest": "sha256:" + "a" * 64, "state": "Pending", "loadedReplicas": 0}
    ]


def test_a_rolled_out_sandbox_is_current() -> None:
    status = done().look()
    assert told_by(status) == {
        "Ready": ("True", "Available"),
        "Reconciling": ("False", "RolledOut"),
        "Stalled": ("False", "NotStalled"),
        "PluginsLoaded": ("True", "AllLoaded"),
        "Confined": ("True", "Proven"),
    }
    assert kstatus(status, 1) == "Current"
    assert (status["replicas"], status["readyReplicas"], status["desiredReplicas"]) == (1, 1, 1)
    assert status["selector"] == "pluginsandbox.dev/sandbox=shop"


def test_a_status_about_an_older_generation_is_never_current() -> None:
    assert kstatus(done().look(), 2) == "InProgress"
    assert kstatus({"observedGeneration": -1}, 1) == "InProgress", "born so, by the CRD"


def test_after_120_s_without_a_cause_it_is_stalled_and_heals() -> None:
    life = fresh()
    life.look()
    assert told_by(life.look(later=119.9))["Stalled"] == ("False", "NotStalled")
    status = life.look(later=0.1)
    assert told_by(status)["Stalled"] == ("True", "TimedOut")
    assert told_by(status)["Ready"] == ("False", "TimedOut")
    assert kstatus(status, 1) == "Failed"
    assert life.recheck is None
    healed = done()
    healed.memory = life.memory
    assert kstatus(healed.look(), 1) == "Current"


def test_a_cause_is_told_at_once_and_stalls_only_after_120_s() -> None:
    life = fresh()
    status = life.look(TROUBLE)
    assert told_by(status)["Reconciling"] == ("True", "RequestRefused")
    assert told_by(status)["Ready"] == ("Unknown", "Progressing")
    status = life.look(TROUBLE, later=120)
    assert told_by(status)["Stalled"] == ("True", "RequestRefused")
    assert told_by(status)["Reconciling"] == ("False", "Stalled")


def test_what_only_an_edit_cures_is_stalled_at_once_and_starts_the_clock_anew_when_cured() -> None:
    life = fresh()
    assert told_by(life.look(EDIT))["Stalled"] == ("True", "NameConflict")
    status = life.look(later=600)
    assert told_by(status)["Stalled"] == ("False", "NotStalled")
    assert told_by(status)["Reconciling"] == ("True", "RollingOut")


@pytest.mark.parametrize("problem", [EDIT, TROUBLE])
def test_trouble_with_a_child_is_told_although_the_pods_are_ready(problem: Problem) -> None:
    life = done()
    life.look()
    assert kstatus(life.look(problem), 1) != "Current"


def test_an_unlabelled_source_is_not_ready_at_once() -> None:
    status = fresh().look(Problem(Reason.SOURCE_NOT_LABELLED, "label it"))
    assert told_by(status)["Ready"] == ("False", "SourceNotLabelled")
    assert kstatus(status, 1) == "InProgress"


def test_a_lost_pod_is_no_roll_out_and_stalls_after_120_s() -> None:
    life = done()
    life.look()
    gone = life.deployment(**COUNTS | {"readyReplicas": 0})
    status = life.look(children=gone, pods=(), later=5)
    assert told_by(status)["Ready"] == ("False", "PodsNotReady")
    assert told_by(status)["Reconciling"] == ("False", "RolledOut")
    assert kstatus(status, 1) == "InProgress"
    assert told_by(life.look(later=60))["Stalled"][0] == "False"
    assert told_by(life.look(later=60))["Stalled"] == ("True", "TimedOut")
    back = life.look(children=life.deployment(**COUNTS), later=1)
    assert kstatus(back, 1) == "Current"


def test_a_restarted_operator_knows_that_a_lost_pod_is_no_roll_out() -> None:
    life = done()
    life.look()
    life.memory = Memory()
    progress = {"type": "Progressing", "status": "True", "reason": "NewReplicaSetAvailable"}
    gone = life.deployment(**COUNTS | {"readyReplicas": 0}, conditions=[progress])
    status = life.look(children=gone, pods=(), later=1)
    assert told_by(status)["Reconciling"] == ("False", "RolledOut")
    assert told_by(status)["Ready"] == ("False", "PodsNotReady")


def test_a_restart_does_not_start_the_clock_anew() -> None:
    life = fresh()
    life.look()
    life.memory = Memory()
    assert told_by(life.look(later=120))["Stalled"] == ("True", "TimedOut")
    life.memory = Memory()
    assert told_by(life.look(later=1))["Stalled"] == ("True", "TimedOut")


def test_a_restart_after_an_edit_stall_does() -> None:
    life = fresh()
    life.look(EDIT)
    life.memory = Memory()
    assert told_by(life.look(later=600))["Stalled"][0] == "False"


def test_a_pod_counts_before_its_deployment_counts_it_unless_it_was_made_by_hand() -> None:
    life = fresh()
    by_hand = pod(life.decision.template)
    owner = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "shop-1", "controller": True}
    made = pod(life.decision.template, ownerReferences=[owner])
    unseen, uncounted = life.deployment(), life.deployment(observedGeneration=2)
    assert told_by(life.look(children=unseen, pods=(made,)))["Ready"][0] == "Unknown"
    assert told_by(life.look(children=uncounted, pods=(by_hand,)))["Ready"][0] == "Unknown"
    status = life.look(pods=(made,))
    assert told_by(status)["Ready"] == ("True", "Available")
    assert (status["replicas"], status["readyReplicas"]) == (1, 1)
    old = pod("old", "shop-0", ownerReferences=[owner])
    life = fresh()
    assert told_by(life.look(children=uncounted, pods=(old, made)))["Ready"][0] == "Unknown"
    leaving = {**old, "metadata": {**old["metadata"], "deletionTimestamp": "2026-11-23T12:00:00Z"}}
    assert told_by(life.look(pods=(leaving, made)))["Ready"] == ("True", "Available")


def test_a_new_template_is_a_roll_out_until_its_pods_are_all_and_ready() -> None:
    life = done()
    life.look()
    life.decision = decide(
        dataclasses.replace(life.world, sandbox=sandbox(contexts={"idleTimeoutSeconds": 9})),
        SETTINGS,
    )
    steps = [
        ({"observedGeneration": 1, "replicas": 1, "updatedReplicas": 1, "readyReplicas": 1}, False),
        ({"observedGeneration": 2, "replicas": 2, "updatedReplicas": 1, "readyReplicas": 1}, False),
        ({"observedGeneration": 2, "replicas": 1, "updatedReplicas": 1, "readyReplicas": 0}, False),
        ({"observedGeneration": 2, "replicas": 1, "updatedReplicas": 1, "readyReplicas": 1}, True),
    ]
    for counts, expected in steps:
        status = life.look(children=life.deployment(**counts))
        assert (told_by(status)["Reconciling"][0] == "False") is expected, counts


@pytest.mark.parametrize(
    ("spec", "reason"),
    [({"operatingMode": "Suspended"}, "Suspended"), ({"replicas": 0}, "ScaledToZero")],
)
def test_no_pods_as_asked_is_ready_once_they_are_gone(spec: dict[str, Any], reason: str) -> None:
    life = fresh(**spec)
    leaving = pod(life.decision.template, deletionTimestamp="2026-11-23T12:00:00Z")
    zero = {"replicas": 0, "updatedReplicas": 0, "readyReplicas": 0, "observedGeneration": 2}
    status = life.look(children=life.deployment(**zero), pods=(leaving,))
    assert told_by(status)["Reconciling"] == ("True", "Stopping")
    status = life.look(pods=())
    assert told_by(status)["Ready"] == ("True", reason)
    assert kstatus(status, 1) == "Current"


def test_transitions_move_only_with_the_status() -> None:
    life = fresh()
    first = {each["type"]: each for each in life.look()["conditions"]}
    second = {each["type"]: each for each in life.look(TROUBLE, later=30)["conditions"]}
    assert second["Reconciling"]["reason"] != first["Reconciling"]["reason"]
    assert second["Reconciling"]["lastTransitionTime"] == first["Reconciling"]["lastTransitionTime"]


def test_the_same_look_gives_the_same_status() -> None:
    life = done()
    assert life.look() == life.look(later=3600)


def test_a_spec_that_cannot_be_read_is_stalled() -> None:
    status = unreadable({}, "spec.plugins: must be set", generation=4, now=NOW).dump()
    assert told_by(status)["Stalled"] == ("True", "SpecInvalid")
    assert kstatus(status, 4) == "Failed"


def test_a_failing_operator_says_so_and_stalls_after_120_s() -> None:
    problem = Problem(Reason.OPERATOR_ERROR, "boom")
    before = done().look()
    status = trouble(before, problem, generation=1, now=NOW).dump()
    assert told_by(status)["Reconciling"] == ("True", "OperatorError")
    assert status["endpoint"] == before["endpoint"], "the rest stays"
    late = NOW + dt.timedelta(seconds=120)
    status = trouble(status, problem, generation=1, now=late).dump()
    assert told_by(status)["Stalled"] == ("True", "OperatorError")
    later = late + dt.timedelta(seconds=1)
    assert trouble(status, problem, generation=1, now=later).dump() == status


def test_a_status_that_cannot_be_read_is_replaced() -> None:
    junk = {"conditions": "none"}
    status = trouble(junk, TROUBLE, generation=1, now=NOW)
    assert isinstance(status, SandboxStatus)
    assert len(status.conditions) == 3


def test_overcommitted_memory_is_told_with_ready() -> None:
    life = done()
    life.decision = dataclasses.replace(life.decision, note="memory is overcommitted")
    ready = life.look()["conditions"][0]
    assert "memory is overcommitted" in ready["message"]


def test_a_deployment_that_a_namesake_left_is_not_counted() -> None:
    world, decision = rolled_out()
    theirs = live(decision, replicas=1, updatedReplicas=1, readyReplicas=1, observedGeneration=2)
    theirs["metadata"]["ownerReferences"][0]["uid"] = "another"
    told = Life(world, decision).look(children={(kinds.DEPLOYMENT, KEY.name): theirs})
    reconciling = next(each for each in told["conditions"] if each["type"] == "Reconciling")
    assert reconciling["status"] == "True"
    assert told["readyReplicas"] == 0
