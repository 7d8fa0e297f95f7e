"""What the status says of pods that do not get ready, and of what their hosts tell."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from pluginsandbox.controller import kinds
from pluginsandbox.controller.children.deployment import template_hash
from pluginsandbox.controller.decide import decide
from tests.integration.operator.rules import kstatus
from tests.unit.controller.lives import COUNTS, Life, done, fresh, told_by
from tests.unit.controller.worlds import (
    KEY,
    SETTINGS,
    observed,
    pod,
    rolled_out,
    sandbox,
    told,
)


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


def test_a_successor_that_hosts_were_too_busy_to_answer_keeps_their_word_for_a_while() -> None:
    world, decision = rolled_out()
    life = Life(world, decision)
    before = life.look()
    assert life.look(stats={}, unsure=True) == before, "nothing is written at a restart"
    after = life.look(stats={}, unsure=False)
    loaded = next(each for each in after["conditions"] if each["type"] == "PluginsLoaded")
    assert (loaded["status"], loaded["reason"]) == ("Unknown", "HostsUnreachable")
