"""From what was observed to what should be."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from pluginsandbox.api.reasons import Reason
from pluginsandbox.controller import kinds
from pluginsandbox.controller.children.deployment import snapshot_name
from pluginsandbox.controller.decide import Decision, decide
from pluginsandbox.controller.observed import Observed, Source
from pluginsandbox.controller.settings import FIELDS, Settings
from pluginsandbox.controller.trim import Body
from tests.unit.controller.worlds import (
    DIGEST,
    KEY,
    OWNER,
    SETTINGS,
    files,
    live,
    observed,
    plugin,
    rolled_out,
    sandbox,
)

SPREAD = {"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "ScheduleAnyway"}
RESTRICTED: dict[str, dict[str, Any]] = {
    "pod.labels": {"pod": {"labels": {"a": "b"}}},
    "pod.annotations": {"pod": {"annotations": {"a": "b"}}},
    "pod.nodeSelector": {"pod": {"nodeSelector": {"a": "b"}}},
    "pod.tolerations": {"pod": {"tolerations": [{"operator": "Exists"}]}},
    "pod.affinity": {"pod": {"affinity": {"podAffinity": {}}}},
    "pod.runtimeClassName": {"pod": {"runtimeClassName": "gvisor"}},
    "pod.priorityClassName": {"pod": {"priorityClassName": "high"}},
    "pod.imagePullSecrets": {"pod": {"imagePullSecrets": [{"name": "a"}]}},
    "pod.serviceAccountName": {"pod": {"serviceAccountName": "a"}},
    "plugins[].secrets": {"plugins": [plugin(secrets=[{"name": "a", "secretName": "b"}])]},
    "network.policy": {"network": {"policy": "Unmanaged"}},
    "host.confinement": {"host": {"confinement": "BestEffort"}},
}


def kinds_of(decision: Decision) -> list[str]:
    return [kind.name for kind, _ in decision.writes]


def reasons(decision: Decision) -> list[Reason]:
    return [problem.reason for problem in decision.problems]


def with_source(**changes: Any) -> Observed:
    world = observed()
    source = dataclasses.replace(world.sources["counter"], **changes)
    return dataclasses.replace(world, sources={"counter": source}, contents={})


def test_children_come_in_the_order_in_which_they_are_needed() -> None:
    decision = decide(observed(), SETTINGS)
    assert kinds_of(decision) == ["ConfigMap", "NetworkPolicy", "Service", "Deployment"]
    assert decision.replicas == 1
    assert decision.snapshot == snapshot_name(decision.writes[-1][1])
    assert not decision.problems


def test_a_pod_monitor_only_where_the_kind_is_served() -> None:
    assert kinds_of(decide(observed(pod_monitors=True), SETTINGS))[-1] == "PodMonitor"


def test_a_snapshot_that_is_there_is_not_written_again() -> None:
    world = observed()
    first = decide(world, SETTINGS)
    copy = {**live(first, kinds.CONFIG_MAP), "immutable": True}
    world = dataclasses.replace(
        world, children={(kinds.CONFIG_MAP, first.snapshot): copy}, contents={}
    )
    assert kinds_of(decide(world, SETTINGS)) == ["NetworkPolicy", "Service", "Deployment"]


def test_a_snapshot_that_holds_something_else_is_not_used() -> None:
    world = observed()
    first = decide(world, SETTINGS)
    forged = {**live(first, kinds.CONFIG_MAP), "immutable": True, "config": "of something else"}
    at = (kinds.CONFIG_MAP, first.snapshot)
    decision = decide(dataclasses.replace(world, children={at: forged}), SETTINGS)
    assert [each.reason for each in decision.problems] == ["NameConflict"]
    assert first.snapshot in decision.problems[0].message
    assert "Deployment" not in kinds_of(decision)


def test_a_snapshot_is_never_written_without_its_files() -> None:
    assert "ConfigMap" not in kinds_of(decide(observed(contents={}), SETTINGS))


@pytest.mark.parametrize(
    ("spec", "replicas"),
    [
        ({}, 1),
        ({"replicas": 0}, 0),
        ({"replicas": 1}, 1),
        ({"replicas": 1000}, 1000),
        ({"operatingMode": "Suspended"}, 0),
        ({"operatingMode": "Suspended", "replicas": 1}, 0),
    ],
)
def test_desired_count(spec: dict[str, Any], replicas: int) -> None:
    decision = decide(observed(sandbox(**spec)), SETTINGS)
    assert decision.replicas == replicas
    (hosts,) = [each for kind, each in decision.writes if kind is kinds.DEPLOYMENT]
    assert hosts["spec"]["replicas"] == replicas


def test_one_pod_has_no_peers() -> None:
    for count in (0, 1):
        decision = decide(observed(sandbox(replicas=count)), SETTINGS)
        assert not decision.peers
        assert "PodDisruptionBudget" not in kinds_of(decision)


def test_several_pods_get_a_key_before_they_can_find_each_other() -> None:
    decision = decide(observed(sandbox(replicas=2)), SETTINGS)
    assert [kind.name for kind, _ in decision.peers] == ["Secret", "Service"]
    assert "data" not in decision.peers[0][1], "deciding is no place for a key"
    assert kinds_of(decision)[-2:] == ["Deployment", "PodDisruptionBudget"]


def with_peers(*, ours: bool, replicas: int) -> Observed:
    """Return a world with a Service of peers."""
    made = decide(observed(sandbox(replicas=2)), SETTINGS).peers[1][1]
    service = {**made, "metadata": {**made["metadata"], "uid": "u-peers"}}
    if not ours:
        service["metadata"]["ownerReferences"] = []
    children = {(kinds.SERVICE, f"{KEY.name}-peers"): service}
    return observed(sandbox(replicas=replicas), children=children)


def test_a_key_is_made_once_and_what_several_pods_needed_stays() -> None:
    for count in (0, 1, 5):
        decision = decide(with_peers(ours=True, replicas=count), SETTINGS)
        assert [kind.name for kind, _ in decision.peers] == ["Service"]
        assert "PodDisruptionBudget" in kinds_of(decision)
        assert not decision.deletions


def test_a_foreign_service_of_that_name_is_nobodys_business_until_there_are_several() -> None:
    assert not decide(with_peers(ours=False, replicas=1), SETTINGS).peers
    decision = decide(with_peers(ours=False, replicas=2), SETTINGS)
    assert [kind.name for kind, _ in decision.peers] == ["Secret", "Service"]


def test_every_restricted_field_is_tried_here() -> None:
    assert set(RESTRICTED) == set(FIELDS)


@pytest.mark.parametrize("field", FIELDS)
def test_a_restricted_field_is_refused_and_granted(field: str) -> None:
    world = observed(sandbox(**RESTRICTED[field]))
    refused = decide(world, SETTINGS)
    assert reasons(refused) == [Reason.NOT_ALLOWED]
    assert refused.problems[0].edit
    assert f"spec.{field} " in refused.problems[0].message
    assert not refused.writes, "nothing is changed for a spec that is not allowed"
    granted = Settings.model_validate({"allow": [{"fields": [field]}]})
    assert not decide(world, granted).problems


def test_what_any_author_may_set_is_not_refused() -> None:
    free = sandbox(
        pod={"topologySpreadConstraints": [SPREAD]},
        network={"allowFrom": [{"podSelector": {}}]},
        host={"warmWorkers": 0, "resources": {"requests": {"cpu": "1"}}},
        contexts={"idleTimeoutSeconds": 1},
    )
    assert not decide(observed(free), SETTINGS).problems


def test_a_memory_request_above_the_limit_is_refused() -> None:
    greedy = sandbox(host={"resources": {"requests": {"memory": "64Gi"}}})
    decision = decide(observed(greedy), SETTINGS)
    assert reasons(decision) == [Reason.SPEC_INVALID]
    assert "must be at most" in decision.problems[0].message


@pytest.mark.parametrize(
    ("changes", "reason", "edit"),
    [
        ({"exists": False, "files": None}, Reason.SOURCE_MISSING, False),
        ({"files": None}, Reason.SOURCE_NOT_LABELLED, False),
        ({"files": dataclasses.replace(files(), keys=())}, Reason.SOURCE_MISSING, False),
        ({"files": files(size=1 << 20)}, Reason.SOURCE_TOO_LARGE, True),
    ],
)
def test_trouble_with_a_source_keeps_the_pods_as_they_are(
    changes: dict[str, Any], reason: Reason, *, edit: bool
) -> None:
    decision = decide(with_source(**changes), SETTINGS)
    assert [(each.reason, each.edit) for each in decision.problems] == [(reason, edit)]
    assert kinds_of(decision) == ["NetworkPolicy", "Service"]
    assert not decision.deletions


def test_a_digest_that_does_not_match_names_both() -> None:
    wanted = "sha256:" + "0" * 64
    decision = decide(observed(sandbox(plugin(digest=wanted))), SETTINGS)
    assert reasons(decision) == [Reason.DIGEST_MISMATCH]
    assert wanted in decision.problems[0].message
    assert DIGEST in decision.problems[0].message


def test_stopping_needs_no_sources() -> None:
    world, before = rolled_out()
    missing = {"counter": Source("counter", exists=False, files=None)}
    stopping = dataclasses.replace(
        world, sandbox=sandbox(operatingMode="Suspended"), sources=missing, contents={}
    )
    decision = decide(stopping, SETTINGS)
    last = decision.writes[-1][1]
    assert last["spec"]["replicas"] == 0
    assert last["spec"]["template"] == before.writes[-1][1]["spec"]["template"]


def owned_snapshot(name: str, uid: str = "0d0e") -> Body:
    owner = {**OWNER, "uid": uid, "controller": True}
    return {"metadata": {"name": name, "uid": name, "ownerReferences": [owner]}, "immutable": True}


def test_only_snapshots_that_nothing_names_are_deleted() -> None:
    world, decision = rolled_out()
    wanted = owned_snapshot(decision.snapshot)
    spare, named, foreign = (
        owned_snapshot("shop-spare"),
        owned_snapshot("shop-named"),
        owned_snapshot("shop-foreign", uid="other"),
    )
    world = dataclasses.replace(
        world,
        snapshots=(wanted, spare, named, foreign),
        named_snapshots=frozenset({"shop-named"}),
    )
    assert decide(world, SETTINGS).deletions == ((kinds.CONFIG_MAP, spare),)


def test_without_a_look_at_the_replica_sets_nothing_is_deleted() -> None:
    world, _ = rolled_out(snapshots=(owned_snapshot("shop-spare"),))
    assert not decide(world, SETTINGS).deletions


def test_a_policy_goes_when_the_author_takes_the_network_over() -> None:
    world, before = rolled_out()
    policy = live(before, kinds.NETWORK_POLICY)
    world = dataclasses.replace(
        world,
        sandbox=sandbox(network={"policy": "Unmanaged"}),
        children={**world.children, (kinds.NETWORK_POLICY, KEY.name): policy},
    )
    granted = Settings.model_validate({"allow": [{"fields": ["network.policy"]}]})
    decision = decide(world, granted)
    assert decision.deletions == ((kinds.NETWORK_POLICY, policy),)
    assert "NetworkPolicy" not in kinds_of(decision)
    policy["metadata"]["ownerReferences"] = []
    assert not decide(world, granted).deletions, "a foreign one stays"


def test_the_same_world_gives_the_same_decision() -> None:
    assert decide(observed(), SETTINGS) == decide(observed(), SETTINGS)
