"""What `pluginsandbox explain` says."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from pluginsandbox.api.reasons import Reason
from pluginsandbox.controller import kinds
from pluginsandbox.controller.explanation import explanation
from pluginsandbox.controller.observed import Problem, Source
from tests.unit.controller.lives import COUNTS, Life, done, fresh
from tests.unit.controller.worlds import KEY, live, observed, pod, sandbox


def said(life: Life, *problems: Problem, **changes: Any) -> str:
    life.look(*problems, **changes)
    return explanation(life.world)


def test_a_sandbox_that_is_well_waits_for_nothing() -> None:
    text = said(done())
    assert "PluginSandbox team/shop (generation 1) wants:" in text
    assert "1 pod: spec.replicas is absent" in text
    assert "plugin counter (Python, PerPlugin) from ConfigMap counter" in text
    assert "Deployment shop: there; 1 pod, 1 of the present template, 1 ready" in text
    assert "pod shop-1: ready" in text
    assert text.endswith("It waits for:\n  - nothing")


def test_an_operator_that_does_not_look_is_the_first_thing_to_look_at() -> None:
    text = explanation(observed(sandbox(generation=3)))
    assert "has not seen generation 3 (last seen: -1)" in text
    assert "Service shop: not there" in text


def test_what_several_pods_need_is_looked_for() -> None:
    text = explanation(observed(sandbox(replicas=3)))
    assert "Service shop-peers: not there" in text
    assert "PodDisruptionBudget shop: not there" in text
    assert "shop-peers" not in explanation(observed(sandbox(replicas=1)))


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ({"operatingMode": "Suspended"}, "no pods: spec.operatingMode is Suspended"),
        ({"replicas": 0}, "0 pods: spec.replicas says so"),
    ],
)
def test_why_so_many_pods(spec: dict[str, Any], words: str) -> None:
    assert words in explanation(observed(sandbox(**spec)))


def test_trouble_comes_with_what_it_means_and_what_to_do() -> None:
    text = said(fresh(), Problem(Reason.NAME_CONFLICT, "Service shop exists", edit=True))
    assert "Stalled is True, NameConflict: Service shop exists" in text
    assert "Do: Delete or rename that object" in text


def test_what_the_cluster_shows_now_is_told_although_the_operator_has_not_written_it() -> None:
    missing = {"counter": Source("counter", exists=False, files=None)}
    text = explanation(dataclasses.replace(observed(), sources=missing))
    assert "SourceMissing: ConfigMap counter of plugin counter does not exist" in text


def test_pods_that_are_not_ready_are_named_with_their_cause() -> None:
    life = fresh()
    stuck = pod(
        life.decision.template,
        ready=False,
        state={"waiting": {"reason": "ImagePullBackOff", "message": "no such image"}},
    )
    old = pod("another", "shop-old", deletionTimestamp="2026-11-23T12:00:00Z")
    children = life.deployment(**COUNTS | {"readyReplicas": 0})
    text = said(life, children=children, pods=(stuck, old))
    assert "pod shop-1: not running yet" in text
    assert "pod shop-old: leaving, of an older template" in text
    assert text.count("no such image") == 1, "nothing is said twice"
    assert "ImagePullFailed" in text


def test_a_foreign_child_is_no_child() -> None:
    life = fresh()
    service = live(life.decision, kinds.SERVICE)
    service["metadata"]["ownerReferences"] = []
    text = said(life, children={(kinds.SERVICE, KEY.name): service})
    assert "Service shop: there, but not this sandbox's" in text
