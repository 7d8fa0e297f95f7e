"""How many pods are wanted, by whom, and what the status says of it."""

from __future__ import annotations

import dataclasses
import datetime as dt
from typing import Any

import pytest

from pluginsandbox.api.scaling import Scaling
from pluginsandbox.controller import kinds, scaling_say
from pluginsandbox.controller.children.deployment import template_hash
from pluginsandbox.controller.decide import decide, desired_replicas, least_replicas
from pluginsandbox.controller.observed import Observed, Scaled
from pluginsandbox.controller.pod_counts import count
from pluginsandbox.controller.scaler import until_next
from tests.unit.controller.worlds import KEY, NOW, SETTINGS, live, observed, pod, sandbox

POLICY = {"minReplicas": 2, "maxReplicas": 9}


def world(wanted: int | None = None, running: int | None = None, **spec: Any) -> Observed:
    """Return a world with scaling, what the autoscaler wants, and what the Deployment has."""
    made = sandbox(**{"scaling": POLICY, **spec})
    policy = made.spec.scaling
    seen = observed(made)
    if running is not None:
        hosts = live(decide(observed(sandbox(replicas=running)), SETTINGS))
        seen = dataclasses.replace(seen, children={(kinds.DEPLOYMENT, KEY.name): hosts})
    if wanted is None or policy is None:
        return seen
    scaled = Scaled(policy=policy, desired=wanted, limit="", blind=False, last=None)
    return dataclasses.replace(seen, scaled=scaled)


@pytest.mark.parametrize(
    ("seen", "pods"),
    [
        (world(7, 5, operatingMode="Suspended", replicas=4), 0),
        (world(7, 5, replicas=4), 4),
        (world(7, 5, replicas=0), 0),
        (world(7, 5, replicas=1000), 1000),
        (world(7, 5, scaling=POLICY | {"paused": "Both"}), 5),
        (world(7, scaling=POLICY | {"paused": "Both"}), 2),
        (world(7, 5), 7),
        (world(None, 5), 5),
        (world(None, 0), 2),
        (world(), 2),
        (world(7, 5, scaling={"minReplicas": 3}), 3),
        (world(None, 1), 2),
        (world(None, 12), 9),
        (world(None, 1, scaling=POLICY | {"paused": "ScaleUp"}), 1),
        (world(None, 12, scaling=POLICY | {"paused": "ScaleDown"}), 12),
        (world(None, 12, scaling={"minReplicas": 3}), 3),
        (world(7, 5, scaling=None), 1),
    ],
)
def test_the_first_that_says_so_decides(seen: Observed, pods: int) -> None:
    assert desired_replicas(seen) == pods
    assert decide(seen, SETTINGS).replicas == pods


def test_what_was_decided_by_another_policy_counts_no_more() -> None:
    seen = world(7, 5)
    assert seen.scaled is not None
    old = dataclasses.replace(seen.scaled, policy=Scaling(max_replicas=70))
    assert desired_replicas(dataclasses.replace(seen, scaled=old)) == 5


def test_as_many_as_min_replicas_must_be_ready() -> None:
    assert least_replicas(world().sandbox) == 2
    assert least_replicas(sandbox()) == 1


def test_scaling_makes_no_new_template_and_what_several_pods_need_is_there_before_them() -> None:
    plain, scaled = (decide(each, SETTINGS) for each in (observed(), world()))
    assert plain.template == scaled.template
    assert plain.snapshot == scaled.snapshot
    assert template_hash(live(scaled)) == plain.template
    assert not plain.peers
    assert [kind for kind, _ in scaled.peers] == [kinds.SECRET, kinds.SERVICE]
    one = decide(world(scaling={"maxReplicas": 1}), SETTINGS)
    assert not one.peers


@pytest.mark.parametrize(
    ("seen", "ready", "verdict"),
    [
        (world(3, operatingMode="Suspended"), 0, ("False", "Suspended")),
        (world(3, replicas=4), 4, ("False", "ManualReplicas")),
        (world(3, scaling=POLICY | {"paused": "Both"}), 1, ("False", "ScalingPaused")),
        (world(3, scaling={"minReplicas": 3}), 3, ("False", "FixedReplicas")),
        (world(3), 0, ("Unknown", "NoPods")),
        (world(None), 3, ("Unknown", "Progressing")),
        (world(3), 3, ("True", "FollowsLoad")),
    ],
)
def test_the_condition_says_who_decides(
    seen: Observed, ready: int, verdict: tuple[str, str]
) -> None:
    found = scaling_say.active(seen, ready, ())
    assert found is not None
    assert found[:2] == verdict


def test_without_scaling_the_status_has_no_word_of_it() -> None:
    assert scaling_say.active(observed(), 1, ()) is None
    assert scaling_say.told(observed()) is None


def test_pods_on_their_way_count_made_or_not_unless_the_server_refuses_them() -> None:
    hosts = live(decide(observed(sandbox(replicas=5)), SETTINGS))
    born: dict[str, Any] = {"creationTimestamp": "2026-11-23T11:59:51Z"}
    some = [
        pod("t", "a", **born),
        pod("t", "b", ready=False, **born),
        pod("t", "c", deletionTimestamp="2026-11-23T11:59:59Z", **born),
    ]
    found = count(hosts, some, NOW)
    assert (found.requested, found.ready, found.coming) == (5, 1, 4)
    assert found.start_milliseconds == 9000
    refused = {"conditions": [{"type": "ReplicaFailure", "status": "True"}]}
    assert count({**hosts, "status": refused}, some, NOW).coming == 1


@pytest.mark.parametrize("microsecond", [0, 99_000, 100_000, 500_000, 999_999])
def test_the_next_look_is_just_after_hosts_close_the_next_second(microsecond: int) -> None:
    now = NOW.replace(microsecond=microsecond)
    at = now + dt.timedelta(seconds=until_next(now))
    assert at == NOW.replace(microsecond=100_000) + dt.timedelta(seconds=1)
