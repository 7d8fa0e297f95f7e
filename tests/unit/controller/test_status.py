"""What the status says, and what kstatus, Argo CD and `kubectl wait` make of it."""

from __future__ import annotations

import dataclasses
import datetime as dt
from typing import Any

import pytest

from pluginsandbox.api.reasons import Reason
from pluginsandbox.api.status import SandboxStatus
from pluginsandbox.controller import kinds
from pluginsandbox.controller.children.deployment import template_hash
from pluginsandbox.controller.decide import Decision, decide
from pluginsandbox.controller.observed import Observed, Problem
from pluginsandbox.controller.rollout import Memory, standing
from pluginsandbox.controller.status import recheck_seconds, report, trouble, unreadable
from pluginsandbox.controller.trim import Body
from tests.integration.operator import rules
from tests.integration.operator.rules import kstatus
from tests.unit.controller.worlds import (
    KEY,
    NOW,
    SETTINGS,
    live,
    observed,
    pod,
    rolled_out,
    sandbox,
    told,
)

TROUBLE = Problem(Reason.REQUEST_REFUSED, "no")
EDIT = Problem(Reason.NAME_CONFLICT, "taken", edit=True)


class Life:
    """One sandbox under one operator process, as the status sees it."""

    def __init__(self, world: Observed, decision: Decision) -> None:
        self.world = world
        self.decision = decision
        self.memory = Memory()
        self.recheck: float | None = None

    def look(self, *blocking: Problem, later: float = 0.0, **changes: Any) -> dict[str, Any]:
        """Report once, so many seconds later; the next look sees what was written."""
        now = self.world.now + dt.timedelta(seconds=later)
        self.world = dataclasses.replace(self.world, now=now, **changes)
        stands = standing(self.memory, self.world, self.decision, blocking)
        found = report(self.world, self.decision, blocking, stands)
        self.recheck = recheck_seconds(stands, found, now)
        generation = self.world.sandbox.metadata.generation
        assert not list(rules.broken(self.world.status, found.dump(), generation))
        self.world = dataclasses.replace(self.world, status=found.dump())
        return found.dump()

    def deployment(self, **status: Any) -> dict[tuple[kinds.Kind, str], Body]:
        return {(kinds.DEPLOYMENT, KEY.name): live(self.decision, **status)}


def fresh(**spec: Any) -> Life:
    world = observed(sandbox(**spec))
    return Life(world, decide(world, SETTINGS))


def done(**spec: Any) -> Life:
    return Life(*rolled_out(sandbox(**spec)))


def told_by(status: dict[str, Any]) -> dict[str, tuple[str, str]]:
    return {each["type"]: (each["status"], each["reason"]) for each in status["conditions"]}


COUNTS = {"replicas": 1, "updatedReplicas": 1, "readyReplicas": 1, "observedGeneration": 2}


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


def unready(life: Life, **parts: Any) -> dict[str, Any]:
    """Return what is reported of a new sandbox whose one pod is not ready."""
    deployment = life.deployment(**COUNTS | {"readyReplicas": 0})
    waiting = pod(life.decision.template, ready=False, **parts)
    return life.look(children=deployment, pods=(waiting,))


@pytest.mark.parametrize(
    ("parts", "reason", "word"),
    [
        (
            {"state": {"waiting": {"reason": "ImagePullBackOff", "message": "not found"}}},
            "ImagePullFailed",
            "not found",
        ),
        (
            {"state": {"waiting": {"reason": "RunContainerError", "message": "exec"}}},
            "PodCrashing",
            "exec",
        ),
        (
            {"state": {"terminated": {"exitCode": 3, "reason": "Error"}}},
            "PodCrashing",
            "kubectl logs --previous shop-1",
        ),
        (
            {"state": {"terminated": {"exitCode": 137, "reason": "OOMKilled"}}},
            "PodCrashing",
            "memory",
        ),
        (
            {
                "status": {
                    "conditions": [
                        {
                            "type": "PodScheduled",
                            "status": "False",
                            "reason": "Unschedulable",
                            "message": "0/3 nodes",
                        }
                    ]
                },
                "state": {},
            },
            "Unschedulable",
            "0/3 nodes",
        ),
    ],
)
def test_a_pod_that_does_not_get_ready_is_explained(
    parts: dict[str, Any], reason: str, word: str
) -> None:
    status = unready(fresh(), **parts)
    message = next(
        each["message"] for each in status["conditions"] if each["type"] == "Reconciling"
    )
    assert told_by(status)["Reconciling"] == ("True", reason)
    assert word in message


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ('pods "x" is forbidden: exceeded quota: small', "QuotaExceeded"),
        ('pods "x" is forbidden: violates PodSecurity "restricted:latest"', "PodRefused"),
        ('admission webhook "w" denied the request', "PodRefused"),
    ],
)
def test_a_refused_pod_is_explained(message: str, reason: str) -> None:
    life = fresh()
    failure = {"type": "ReplicaFailure", "status": "True", "message": message}
    status = life.look(children=life.deployment(observedGeneration=2, conditions=[failure]))
    assert told_by(status)["Reconciling"] == ("True", reason)
    assert message in status["conditions"][1]["message"]


def test_a_volume_that_cannot_be_mounted_is_explained() -> None:
    life = fresh()
    life.world = dataclasses.replace(
        life.world, mount_failures={"u-shop-1": 'secret "keys" not found'}
    )
    status = unready(life, state={"waiting": {"reason": "ContainerCreating"}})
    assert told_by(status)["Reconciling"] == ("True", "MountFailed")


@pytest.mark.parametrize(
    ("stats", "reason", "loaded"),
    [
        (
            told("Failed", reason="ImportFailed", message="no class"),
            "PluginInvalid",
            "PluginInvalid",
        ),
        (told("Failed", reason="EntryPointInvalid"), "PluginInvalid", "PluginInvalid"),
        (told("Failed", reason="DigestMismatch"), "DigestMismatch", "DigestMismatch"),
        (told("Failed"), "PluginInvalid", "LoadFailed"),
        (told("Pending", holds=False, missing=("ptrace",)), "ConfinementImpossible", "NoPods"),
    ],
)
def test_a_host_that_cannot_load_explains_a_pod_that_is_not_ready(
    stats: Any, reason: str, loaded: str
) -> None:
    life = fresh()
    life.world = dataclasses.replace(life.world, stats={"u-shop-1": stats})
    status = unready(life)
    assert told_by(status)["Stalled"] == ("True", reason)
    assert told_by(status)["PluginsLoaded"][1] == loaded
    assert kstatus(status, 1) == "Failed"


@pytest.mark.parametrize(
    ("stats", "loaded", "confined", "state"),
    [
        ({}, ("Unknown", "HostsUnreachable"), ("Unknown", "HostsUnreachable"), "Pending"),
        (told("Pending"), ("False", "Loading"), ("True", "Proven"), "Pending"),
        (told("Failed"), ("False", "LoadFailed"), ("True", "Proven"), "Failed"),
        (
            told(holds=False, missing=("ptrace",)),
            ("True", "AllLoaded"),
            ("False", "ConfinementImpossible"),
            "Loaded",
        ),
    ],
)
def test_what_hosts_tell_never_decides_ready(
    stats: Any, loaded: tuple[str, str], confined: tuple[str, str], state: str
) -> None:
    life = done()
    status = life.look(stats={"u-shop-1": stats} if stats else {})
    assert told_by(status)["Ready"] == ("True", "Available")
    assert told_by(status)["PluginsLoaded"] == loaded
    assert told_by(status)["Confined"] == confined
    assert status["plugins"][0]["state"] == state


def test_best_effort_runs_with_a_gap_in_the_wall_and_says_so() -> None:
    settings = SETTINGS.model_copy(update={"allow": []})
    world = observed(sandbox(host={"confinement": "BestEffort"}))
    decision = dataclasses.replace(decide(observed(), settings))
    life = Life(world, decision)
    deployment = life.deployment(**COUNTS)
    template = template_hash(deployment[kinds.DEPLOYMENT, KEY.name])
    gap = told(holds=False, missing=("Landlock",))
    status = life.look(children=deployment, pods=(pod(template),), stats={"u-shop-1": gap})
    assert told_by(status)["Confined"] == ("False", "PartlyConfined")
    assert told_by(status)["Ready"][0] == "True"


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


def test_a_successor_that_hosts_were_too_busy_to_answer_keeps_their_word_for_a_while() -> None:
    world, decision = rolled_out()
    life = Life(world, decision)
    before = life.look()
    assert life.look(stats={}, unsure=True) == before, "nothing is written at a restart"
    after = life.look(stats={}, unsure=False)
    loaded = next(each for each in after["conditions"] if each["type"] == "PluginsLoaded")
    assert (loaded["status"], loaded["reason"]) == ("Unknown", "HostsUnreachable")


def test_a_deployment_that_a_namesake_left_is_not_counted() -> None:
    world, decision = rolled_out()
    theirs = live(decision, replicas=1, updatedReplicas=1, readyReplicas=1, observedGeneration=2)
    theirs["metadata"]["ownerReferences"][0]["uid"] = "another"
    told = Life(world, decision).look(children={(kinds.DEPLOYMENT, KEY.name): theirs})
    reconciling = next(each for each in told["conditions"] if each["type"] == "Reconciling")
    assert reconciling["status"] == "True"
    assert told["readyReplicas"] == 0
