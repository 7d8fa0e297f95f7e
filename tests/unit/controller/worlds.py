"""Small worlds for the pure cores: sandboxes, Deployments and pods as the store keeps them."""

from __future__ import annotations

import dataclasses
import datetime as dt
from typing import Any

from pluginsandbox.api.host_stats import ConfinementStats, HostStats, PluginStats
from pluginsandbox.api.sandbox import PluginSandbox
from pluginsandbox.controller import kinds
from pluginsandbox.controller.children.config_snapshot import Files
from pluginsandbox.controller.children.deployment import template_hash
from pluginsandbox.controller.decide import Decision, decide
from pluginsandbox.controller.kinds import TEMPLATE_ANNOTATION, Key
from pluginsandbox.controller.observed import Observed, Source
from pluginsandbox.controller.settings import Settings
from pluginsandbox.controller.trim import Body, trim

NOW = dt.datetime(2026, 11, 23, 12, 0, 0, tzinfo=dt.UTC)
UID = "0d0e"
KEY = Key("team", "shop")
SETTINGS = Settings()
DIGEST = "sha256:" + "a" * 64
OWNER = {"apiVersion": "pluginsandbox.dev/v1alpha1", "kind": "PluginSandbox", "name": "shop"}


def plugin(name: str = "counter", **fields: Any) -> dict[str, Any]:
    return {
        "name": name,
        "runtime": "Python",
        "source": {"configMap": {"name": name}},
        "entryPoint": "counter:Counter",
        **fields,
    }


def sandbox(*plugins: dict[str, Any], generation: int = 1, **spec: Any) -> PluginSandbox:
    return PluginSandbox.read(
        {
            "apiVersion": "pluginsandbox.dev/v1alpha1",
            "kind": "PluginSandbox",
            "metadata": {
                "name": KEY.name,
                "namespace": KEY.namespace,
                "uid": UID,
                "generation": generation,
            },
            "spec": {"plugins": list(plugins) or [plugin()], **spec},
        }
    )


def files(*keys: str, size: int = 100, digest: str = DIGEST) -> Files:
    return Files(digest, keys or ("counter.py",), size)


def observed(made: PluginSandbox | None = None, **parts: Any) -> Observed:
    """Return a world in which every source exists and nothing was made yet."""
    body = made or sandbox()
    sources = {
        each.name: Source(each.source.config_map.name, exists=True, files=files())
        for each in body.spec.plugins
        if each.source.config_map is not None
    }
    world = Observed(
        key=KEY,
        sandbox=body,
        status={},
        sources=sources,
        contents={name: {"data": {"counter.py": "a = 1\n"}} for name in sources},
        namespace_labels={"kubernetes.io/metadata.name": KEY.namespace},
        children={},
        snapshots=(),
        named_snapshots=None,
        pods=(),
        stats={},
        mount_failures={},
        pod_monitors=False,
        now=NOW,
    )
    return dataclasses.replace(world, **parts)


def live(decision: Decision, kind: kinds.Kind = kinds.DEPLOYMENT, **status: Any) -> Body:
    """Return a child as the API server would keep it, trimmed."""
    manifest = next(each for at, each in decision.writes if at is kind)
    metadata = {"uid": f"u-{kind.name}", "resourceVersion": "7", "generation": 2}
    body = {**manifest, "metadata": {**manifest["metadata"], **metadata}, "status": status}
    return trim(kind, body)


def pod(template: str, name: str = "shop-1", *, ready: bool = True, **parts: Any) -> Body:
    """Return a pod of a template."""
    state = parts.pop("state", {"running": {"startedAt": "2026-11-23T11:59:50Z"}})
    truth = "True" if ready else "False"
    stamp = {"lastTransitionTime": "2026-11-23T11:59:55Z"}
    status = {
        "phase": "Running",
        "podIP": "10.0.0.9",
        "conditions": [
            {"type": "PodScheduled", "status": "True", **stamp},
            {"type": "Ready", "status": truth, **stamp},
        ],
        "containerStatuses": [{"name": "host", "ready": ready, "restartCount": 0, "state": state}],
        **parts.pop("status", {}),
    }
    metadata = {
        "name": name,
        "namespace": KEY.namespace,
        "uid": f"u-{name}",
        "resourceVersion": "9",
        "labels": {kinds.SANDBOX_LABEL: KEY.name},
        "annotations": {TEMPLATE_ANNOTATION: template},
        **parts,
    }
    return trim(kinds.POD, {"metadata": metadata, "status": status})


def rolled_out(made: PluginSandbox | None = None, **parts: Any) -> tuple[Observed, Decision]:
    """Return a world in which the decision is carried out and one pod is ready."""
    world = observed(made)
    decision = decide(world, SETTINGS)
    counts: dict[str, Any] = {
        "replicas": 1,
        "updatedReplicas": 1,
        "readyReplicas": 1,
        "observedGeneration": 2,
    }
    deployment = live(decision, **counts)
    ready = pod(template_hash(deployment))
    world = dataclasses.replace(
        world,
        children={(kinds.DEPLOYMENT, KEY.name): deployment},
        pods=(ready,),
        stats={ready["metadata"]["uid"]: told()},
    )
    return dataclasses.replace(world, **parts), decision


def told(
    state: Any = "Loaded", *, holds: bool = True, missing: tuple[str, ...] = (), **fields: Any
) -> HostStats:
    """Return what a host with one plugin tells."""
    return HostStats(
        plugins=(PluginStats(name="counter", state=state, **fields),),
        confinement=ConfinementStats(holds=holds, landlock_abi=7, missing=missing),
    )
