"""The Deployment of a sandbox's hosts.

The pods pass Pod Security `restricted`: non-root, no token, read-only root file system, the
runtime's default seccomp profile, no capabilities. `revisionHistoryLimit` is 0: a rollback is a
change in Git, and a ReplicaSet that stays would keep its snapshot alive.
"""

from __future__ import annotations

from typing import Any

from pluginsandbox.api import paths
from pluginsandbox.api.host_config import CONFIG_FILE
from pluginsandbox.api.plugin import Plugin, PluginSecret
from pluginsandbox.api.quantity import parse_millicores
from pluginsandbox.api.sandbox import PluginSandbox
from pluginsandbox.controller import kinds
from pluginsandbox.controller.children.common import (
    ADMIN,
    ADMIN_PORT,
    HTTP,
    HTTP_PORT,
    PEERS,
    PEERS_PORT,
    Manifest,
    hash_of,
    labels,
    manifest,
    peers_name,
    peers_rotation_name,
    selector,
    short_hash,
    stable_selector,
)
from pluginsandbox.controller.children.config_snapshot import CONFIG_KEY, Snapshot, data_key
from pluginsandbox.controller.kinds import TEMPLATE_ANNOTATION
from pluginsandbox.controller.memory import Budget, quantity
from pluginsandbox.controller.settings import Settings

CONTAINER = "host"
UID = 65532
DRAIN_SECONDS = 5
"""For which a leaving host serves on before its own grace begins: until all proxies know."""
GRACE_MARGIN_SECONDS = 5
"""Beyond that, so that the host ends by itself and not by SIGKILL."""
STALL_SECONDS = 120
"""As the condition Stalled has it; the Deployment's own condition then says the same."""
_READ_ONLY = 0o444


def desired(
    sandbox: PluginSandbox, settings: Settings, snapshot: Snapshot, budget: Budget, replicas: int
) -> Manifest:
    """Return the Deployment."""
    template = _template(sandbox, settings, snapshot, budget)
    template["metadata"]["annotations"][TEMPLATE_ANNOTATION] = hash_of(template)
    return _deployment(sandbox, template, replicas)


def stopped(sandbox: PluginSandbox, live: Manifest) -> Manifest:
    """Return a live Deployment without pods and with its template as it is."""
    return _deployment(sandbox, live["spec"]["template"], 0)


def _deployment(sandbox: PluginSandbox, template: dict[str, Any], replicas: int) -> Manifest:
    spec = {
        "replicas": replicas,
        "revisionHistoryLimit": 0,
        "progressDeadlineSeconds": STALL_SECONDS,
        "selector": {"matchLabels": stable_selector(sandbox)},
        "strategy": {
            "type": "RollingUpdate",
            "rollingUpdate": {"maxUnavailable": 0, "maxSurge": "25%"},
        },
        "template": template,
    }
    return manifest(kinds.DEPLOYMENT, sandbox, sandbox.metadata.name, spec=spec)


def template_hash(deployment: Manifest) -> str:
    """Return the hash of the pod template that a Deployment carries; empty if it has none."""
    spec = deployment.get("spec") or {}
    metadata = (spec.get("template") or {}).get("metadata") or {}
    return str((metadata.get("annotations") or {}).get(TEMPLATE_ANNOTATION, ""))


def snapshot_name(deployment: Manifest) -> str:
    """Return the snapshot that a Deployment or a ReplicaSet names; empty if none."""
    pod = ((deployment.get("spec") or {}).get("template") or {}).get("spec") or {}
    for volume in pod.get("volumes") or ():
        if volume.get("name") == "config":
            return str((volume.get("configMap") or {}).get("name", ""))
    return ""


def _template(
    sandbox: PluginSandbox, settings: Settings, snapshot: Snapshot, budget: Budget
) -> dict[str, Any]:
    pod = sandbox.spec.pod
    own = {**labels(sandbox), **stable_selector(sandbox), "app.kubernetes.io/name": CONTAINER}
    return {
        "metadata": {"labels": {**pod.labels, **own}, "annotations": dict(pod.annotations)},
        "spec": _pod(sandbox, settings, snapshot, budget),
    }


def _pod(
    sandbox: PluginSandbox, settings: Settings, snapshot: Snapshot, budget: Budget
) -> dict[str, Any]:
    grace = DRAIN_SECONDS + sandbox.spec.host.termination_grace_seconds + GRACE_MARGIN_SECONDS
    return {
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": grace,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": UID,
            "runAsGroup": UID,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [_container(sandbox, settings, budget)],
        "volumes": _volumes(sandbox, snapshot),
        **_placement(sandbox),
    }


def _container(sandbox: PluginSandbox, settings: Settings, budget: Budget) -> dict[str, Any]:
    return {
        "name": CONTAINER,
        "image": settings.host_image,
        "imagePullPolicy": settings.host_image_pull_policy,
        "command": ["pluginsandbox", "host", "--config", paths.CONFIG_PATH],
        "ports": [
            {"name": HTTP, "containerPort": HTTP_PORT, "protocol": "TCP"},
            {"name": PEERS, "containerPort": PEERS_PORT, "protocol": "TCP"},
            {"name": ADMIN, "containerPort": ADMIN_PORT, "protocol": "TCP"},
        ],
        "env": [{"name": "POD_IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}}],
        "resources": _resources(sandbox, settings, budget),
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "readinessProbe": _probe("/readyz", periodSeconds=1, timeoutSeconds=1, failureThreshold=3),
        # Many hosts that start at once on a small node take long: none is killed for that.
        "livenessProbe": _probe(
            "/healthz",
            initialDelaySeconds=STALL_SECONDS,
            periodSeconds=10,
            timeoutSeconds=5,
            failureThreshold=6,
        ),
        "volumeMounts": _mounts(sandbox),
    }


def _probe(path: str, **timing: int) -> dict[str, Any]:
    return {"httpGet": {"path": path, "port": ADMIN, "scheme": "HTTP"}, **timing}


def _resources(sandbox: PluginSandbox, settings: Settings, budget: Budget) -> dict[str, Any]:
    asked = sandbox.spec.host.resources
    limits = {"memory": quantity(budget.limit)}
    limits |= {"cpu": asked.limits.cpu} if asked.limits.cpu else {}
    at_most = (each for each in (settings.cpu_request, asked.limits.cpu) if each)
    cpu = asked.requests.cpu or min(at_most, key=parse_millicores)
    return {"requests": {"cpu": cpu, "memory": quantity(budget.request)}, "limits": limits}


def _volumes(sandbox: PluginSandbox, snapshot: Snapshot) -> list[dict[str, Any]]:
    config = [{"key": CONFIG_KEY, "path": CONFIG_FILE}]
    volumes = [_from_snapshot("config", snapshot.name, config), _peers_volume(sandbox)]
    for plugin in sandbox.spec.plugins:
        volumes.append(_plugin_volume(plugin, snapshot))
        volumes += [_secret_volume(plugin, secret) for secret in plugin.secrets]
    return volumes


def _peers_volume(sandbox: PluginSandbox) -> dict[str, Any]:
    """Return the volume with the keys of the peers, optional so that scaling changes no template.

    Of files with one name the kubelet takes the one that is named last, so an administrator's
    Secret goes before our own, which nobody can change.
    """
    names = (peers_name(sandbox), peers_rotation_name(sandbox))
    sources = [{"secret": {"name": name, "optional": True}} for name in names]
    return {"name": PEERS, "projected": {"sources": sources, "defaultMode": _READ_ONLY}}


def _plugin_volume(plugin: Plugin, snapshot: Snapshot) -> dict[str, Any]:
    image = plugin.source.image
    if image is not None:
        source = {"reference": image.reference, "pullPolicy": image.pull_policy}
        return {"name": _plugin_volume_name(plugin), "image": source}
    keys = snapshot.keys.get(plugin.name, ())
    items = [{"key": data_key(plugin.name, key), "path": key} for key in keys]
    return _from_snapshot(_plugin_volume_name(plugin), snapshot.name, items)


def _from_snapshot(volume: str, snapshot: str, items: list[dict[str, Any]]) -> dict[str, Any]:
    source = {"name": snapshot, "items": items, "defaultMode": _READ_ONLY}
    return {"name": volume, "configMap": source}


def _secret_volume(plugin: Plugin, secret: PluginSecret) -> dict[str, Any]:
    source = {"secretName": secret.secret_name, "defaultMode": _READ_ONLY}
    return {"name": _secret_volume_name(plugin, secret), "secret": source}


def _mounts(sandbox: PluginSandbox) -> list[dict[str, Any]]:
    mounts = [_mount("config", paths.CONFIG_DIRECTORY), _mount(PEERS, paths.PEERS_DIRECTORY)]
    for plugin in sandbox.spec.plugins:
        mounts.append(_mount(_plugin_volume_name(plugin), paths.plugin_mount(plugin)))
        mounts += [
            _mount(_secret_volume_name(plugin, secret), paths.secret_mount(plugin, secret))
            for secret in plugin.secrets
        ]
    return mounts


def _mount(volume: str, path: str) -> dict[str, Any]:
    return {"name": volume, "mountPath": path, "readOnly": True}


def _plugin_volume_name(plugin: Plugin) -> str:
    return f"plugin-{plugin.name}"


def _secret_volume_name(plugin: Plugin, secret: PluginSecret) -> str:
    """Return a volume's name: two names of 50 characters do not fit into its 63."""
    return f"secret-{short_hash(plugin.name.encode(), secret.name.encode())}"


def _placement(sandbox: PluginSandbox) -> dict[str, Any]:
    """Return where the pods may run: what the author and the administrator agreed on."""
    pod = sandbox.spec.pod.dump()
    plain = (
        *("nodeSelector", "tolerations", "affinity", "runtimeClassName", "priorityClassName"),
        *("imagePullSecrets", "serviceAccountName"),
    )
    placement = {name: pod[name] for name in plain if pod.get(name)}
    if "serviceAccountName" in placement:
        # The API server writes the old name of the field beside the new one, and by it brings the
        # account back when that is dropped; unless it is ours to drop.
        placement["serviceAccount"] = placement["serviceAccountName"]
    spread = [
        {"labelSelector": {"matchLabels": selector(sandbox)}, **each}
        for each in pod.get("topologySpreadConstraints") or ()
    ]
    return placement | ({"topologySpreadConstraints": spread} if spread else {})
