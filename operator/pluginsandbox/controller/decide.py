"""From what was observed to what should be: pure, the heart of the controller.

`apply` writes what this returns, in order; `status` tells the author what stands in the way.
"""

from __future__ import annotations

import dataclasses
from typing import Any

from pluginsandbox.api.reasons import Reason
from pluginsandbox.api.sandbox import PluginSandbox
from pluginsandbox.api.scaling import Scaling
from pluginsandbox.controller import kinds, leaving
from pluginsandbox.controller.children import (
    config_snapshot,
    deployment,
    disruption_budget,
    network_policy,
    peers_secret,
    peers_service,
    pod_monitor,
    service,
)
from pluginsandbox.controller.children.common import Manifest, peers_name
from pluginsandbox.controller.children.config_snapshot import Files, Snapshot
from pluginsandbox.controller.kinds import Kind
from pluginsandbox.controller.memory import MIB, Budget, budget
from pluginsandbox.controller.observed import Observed, Problem, controlled_by
from pluginsandbox.controller.settings import FIELDS, Settings
from pluginsandbox.controller.trim import Body

DEFAULT_REPLICAS = 1


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What should be.

    Args:
        replicas: Pods that are wanted.
        writes: Manifests in the order in which they must be applied.
        peers: What must be there before there are several pods, each after the one before it.
        deletions: Live objects of ours that must go, after the writes.
        costs: Pods whose deletion cost changes before there are fewer of them; None takes it away.
        problems: What keeps the spec from being carried out.
        template: Hash of the pod template that is wanted; empty while it is not known.
        snapshot: Name of the snapshot that is wanted; empty while it is not known.
        note: What the author should know although nothing is wrong.

    """

    replicas: int
    writes: tuple[tuple[Kind, Manifest], ...] = ()
    peers: tuple[tuple[Kind, Manifest], ...] = ()
    deletions: tuple[tuple[Kind, Body], ...] = ()
    costs: tuple[tuple[Body, str | None], ...] = ()
    problems: tuple[Problem, ...] = ()
    template: str = ""
    snapshot: str = ""
    note: str = ""


def decide(observed: Observed, settings: Settings) -> Decision:
    """Return what should be."""
    sandbox = observed.sandbox
    replicas = desired_replicas(observed)
    room = budget(sandbox.spec, settings.memory)
    refused = (*_not_allowed(observed, settings), *_over_limit(sandbox, room))
    if refused:
        return Decision(replicas=replicas, problems=refused)
    problems = source_problems(observed)
    writes = _front(observed, settings)
    if problems:
        writes += _stop(observed) if replicas == 0 else ()
        return Decision(replicas=replicas, writes=writes, problems=problems, note=room.overcommit)
    snapshot = config_snapshot.plan(sandbox, known_files(observed))
    forged = _forged(observed, snapshot)
    if forged:
        return Decision(replicas=replicas, writes=writes, problems=forged, note=room.overcommit)
    hosts = deployment.desired(sandbox, settings, snapshot, room, replicas)
    return Decision(
        replicas=replicas,
        writes=(
            *_snapshot(observed, snapshot),
            *writes,
            (kinds.DEPLOYMENT, hosts),
            *_budget(observed, replicas),
            *_monitor(observed),
        ),
        peers=_peers(observed, replicas),
        deletions=(*_unwanted(observed, settings), *_stale(observed, snapshot.name)),
        costs=_costs(observed, settings, replicas),
        template=deployment.template_hash(hosts),
        snapshot=snapshot.name,
        note=room.overcommit,
    )


def desired_replicas(observed: Observed) -> int:
    """Return how many pods are wanted: by the first of these that says so."""
    spec = observed.sandbox.spec
    if spec.operating_mode == "Suspended":
        return 0
    if spec.replicas is not None:
        return spec.replicas
    if spec.scaling is None:
        return DEFAULT_REPLICAS
    scaled = observed.scaled
    if spec.scaling.on and scaled is not None and scaled.policy == spec.scaling:
        return scaled.desired
    held = _held(observed) or spec.scaling.min_replicas
    return held if spec.scaling.paused == "Both" else _bounded(spec.scaling, held)


def _bounded(scaling: Scaling, held: int) -> int:
    """Return the pods there are within the bounds, until the autoscaler has looked.

    So a generation that raises minReplicas is not rolled out before there are as many.
    """
    bounded = max(scaling.min_replicas, min(held, scaling.most))
    match scaling.paused:
        case "ScaleUp":
            return min(held, bounded)
        case "ScaleDown":
            return max(held, bounded)
        case _:
            return bounded


def least_replicas(sandbox: PluginSandbox) -> int:
    """Return how many pods must be ready where more are wanted."""
    scaling = sandbox.spec.scaling
    return DEFAULT_REPLICAS if scaling is None else scaling.min_replicas


def _held(observed: Observed) -> int:
    """Return the pods that the live Deployment asks for; 0 if there is none of ours.

    The autoscaler never asks for none: such a Deployment was stopped by hand.
    """
    live = observed.deployment
    if live is None:
        return 0
    return int((live.get("spec") or {}).get("replicas") or 0)


def known_files(observed: Observed) -> dict[str, Files]:
    """Return what is known of the plugins' files, by the plugin's name."""
    return {name: each.files for name, each in observed.sources.items() if each.files is not None}


def source_problems(observed: Observed) -> tuple[Problem, ...]:
    """Return what is wrong with the ConfigMaps that plugins name."""
    problems = [
        problem
        for plugin in observed.sandbox.spec.plugins
        if (problem := _source_problem(observed, plugin.name, plugin.digest)) is not None
    ]
    too_large = config_snapshot.problem(observed.sandbox.spec.plugins, known_files(observed))
    if too_large:
        problems.append(Problem(Reason.SOURCE_TOO_LARGE, too_large, edit=True))
    return tuple(problems)


def _source_problem(observed: Observed, plugin: str, digest: str | None) -> Problem | None:
    source = observed.sources.get(plugin)
    if source is None:
        return None
    what = f"ConfigMap {source.name} of plugin {plugin}"
    if not source.exists:
        return Problem(
            Reason.SOURCE_MISSING,
            f"{what} does not exist in namespace {observed.key.namespace}: create it, "
            "or mend source.configMap.name",
        )
    if source.files is None:
        return Problem(
            Reason.SOURCE_NOT_LABELLED,
            f"{what} lacks the label that marks it as a source: kubectl label configmap "
            f"{source.name} -n {observed.key.namespace} {kinds.SOURCE_LABEL}=true",
        )
    if not source.files.keys:
        return Problem(Reason.SOURCE_MISSING, f"{what} is empty: put the plugin's files into it")
    if digest is not None and digest != source.files.digest:
        return Problem(
            Reason.DIGEST_MISMATCH,
            f"{what} has the digest {source.files.digest}, but digest says {digest}: check where "
            "the files came from, then set digest to what they have",
            edit=True,
        )
    return None


def _not_allowed(observed: Observed, settings: Settings) -> tuple[Problem, ...]:
    allowed = settings.allowed(dict(observed.namespace_labels))
    refused = _used(observed.sandbox) - allowed
    return tuple(
        Problem(
            Reason.NOT_ALLOWED,
            f"spec.{field} is not allowed in namespace {observed.key.namespace}: remove it, or ask "
            f"an administrator to list {field} in the chart value `allow`",
            edit=True,
        )
        for field in FIELDS
        if field in refused
    )


def _used(sandbox: PluginSandbox) -> set[str]:
    """Return the restricted fields that the spec uses."""
    spec = sandbox.spec
    used = {f"pod.{name}" for name, value in spec.pod.dump().items() if value}
    used |= {"plugins[].secrets"} if any(plugin.secrets for plugin in spec.plugins) else set()
    used |= {"network.policy"} if spec.network.policy == "Unmanaged" else set()
    used |= {"host.confinement"} if spec.host.confinement == "BestEffort" else set()
    return used


def _over_limit(sandbox: PluginSandbox, room: Budget) -> tuple[Problem, ...]:
    if room.request <= room.limit:
        return ()
    message = (
        f"spec.host.resources.requests.memory is {sandbox.spec.host.resources.requests.memory} and "
        f"must be at most {room.limit // MIB}Mi, the limit that follows from the plugins' limits"
    )
    return (Problem(Reason.SPEC_INVALID, message, edit=True),)


def _front(observed: Observed, settings: Settings) -> tuple[tuple[Kind, Manifest], ...]:
    """Return what stands before the pods: the NetworkPolicy first, so that it is there first."""
    policy = network_policy.desired(observed.sandbox, settings)
    front: tuple[tuple[Kind, Manifest], ...] = (
        ((kinds.NETWORK_POLICY, policy),) if policy is not None else ()
    )
    return (*front, (kinds.SERVICE, service.desired(observed.sandbox)))


def _snapshot(observed: Observed, snapshot: Snapshot) -> tuple[tuple[Kind, Manifest], ...]:
    """Return the snapshot unless it is there: what is immutable cannot drift."""
    live = observed.children.get((kinds.CONFIG_MAP, snapshot.name))
    if live is not None and live.get("immutable") and controlled_by(live, observed.sandbox):
        return ()
    if observed.contents.keys() != observed.sources.keys():
        return ()  # it was there when the sources were read; its deletion brings the key again
    manifest = config_snapshot.desired(observed.sandbox, snapshot, observed.contents)
    return ((kinds.CONFIG_MAP, manifest),)


def _forged(observed: Observed, snapshot: Snapshot) -> tuple[Problem, ...]:
    """Return what is wrong with a snapshot that says it is ours and holds something else.

    Who may write ConfigMaps could make one ahead of us, and have the pods load what they like.
    """
    live = observed.children.get((kinds.CONFIG_MAP, snapshot.name))
    if live is None or not live.get("immutable") or not controlled_by(live, observed.sandbox):
        return ()
    if live.get("config") == config_snapshot.config_digest(snapshot.config):
        return ()
    message = (
        f"ConfigMap {snapshot.name} in namespace {observed.key.namespace} is not what the operator "
        "makes under this name: find out who made it, and delete it"
    )
    return (Problem(Reason.NAME_CONFLICT, message, edit=True),)


def _monitor(observed: Observed) -> tuple[tuple[Kind, Manifest], ...]:
    if not observed.pod_monitors:
        return ()
    return ((kinds.POD_MONITOR, pod_monitor.desired(observed.sandbox)),)


def several(observed: Observed, replicas: int) -> bool:
    """Tell whether several pods can run, or could: what they need is kept once it is there.

    Pods that are leaving still need it, and the key would not change anyway.
    """
    scaling = observed.sandbox.spec.scaling
    most = 1 if scaling is None else scaling.most
    return max(replicas, most) > 1 or _found(observed)


def _found(observed: Observed) -> bool:
    """Tell whether pods can find each other; the key was made before that."""
    live = observed.children.get((kinds.SERVICE, peers_name(observed.sandbox)))
    return live is not None and controlled_by(live, observed.sandbox)


def _peers(observed: Observed, replicas: int) -> tuple[tuple[Kind, Manifest], ...]:
    if not several(observed, replicas):
        return ()
    sandbox = observed.sandbox
    key = () if _found(observed) else ((kinds.SECRET, peers_secret.desired(sandbox)),)
    return (*key, (kinds.SERVICE, peers_service.desired(sandbox)))


def _budget(observed: Observed, replicas: int) -> tuple[tuple[Kind, Manifest], ...]:
    if not several(observed, replicas):
        return ()
    return ((kinds.POD_DISRUPTION_BUDGET, disruption_budget.desired(observed.sandbox)),)


def _costs(
    observed: Observed, settings: Settings, replicas: int
) -> tuple[tuple[Body, str | None], ...]:
    scaled = observed.scaled
    if scaled is None or not settings.scaling.choose_pods or replicas >= _held(observed):
        return ()
    return tuple(leaving.costs(observed.pods, scaled.leaving))


def _stop(observed: Observed) -> tuple[tuple[Kind, Manifest], ...]:
    """Return the live Deployment without pods: stopping must work without the sources."""
    live = observed.deployment
    if live is None:
        return ()
    return ((kinds.DEPLOYMENT, deployment.stopped(observed.sandbox, live)),)


def _unwanted(observed: Observed, settings: Settings) -> list[tuple[Kind, Any]]:
    """Return children of ours that the spec no longer asks for."""
    at = (kinds.NETWORK_POLICY, observed.key.name)
    live = observed.children.get(at)
    if live is None or network_policy.desired(observed.sandbox, settings) is not None:
        return []
    return [(kinds.NETWORK_POLICY, live)] if controlled_by(live, observed.sandbox) else []


def _stale(observed: Observed, wanted: str) -> list[tuple[Kind, Any]]:
    """Return snapshots that no pod can be made from any more."""
    if observed.named_snapshots is None or observed.deployment is None:
        return []
    kept = {wanted, deployment.snapshot_name(observed.deployment), *observed.named_snapshots}
    return [
        (kinds.CONFIG_MAP, each)
        for each in observed.snapshots
        if each["metadata"]["name"] not in kept and controlled_by(each, observed.sandbox)
    ]
