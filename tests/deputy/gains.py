"""Says what in a cluster is more than an author may have by a sandbox. Pure.

Whatever is not listed here is a gain, so a field that the operator learns to set must be listed.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from pluginsandbox.controller import kinds
from pluginsandbox.controller.children.common import ADMIN_PORT, HTTP_PORT, PEERS_PORT
from pluginsandbox.controller.children.network_policy import DNS_PORT
from pluginsandbox.controller.kinds import SANDBOX_LABEL, Kind

Body = dict[str, Any]

CANARY = "the crown jewels"
"""Stands in everything that authors must not read."""

POD = frozenset(
    {"containers", "volumes", "securityContext", "terminationGracePeriodSeconds"}
    | {"topologySpreadConstraints"}
)
POD_AS_IT_IS = {
    "automountServiceAccountToken": False,
    "enableServiceLinks": False,
    "restartPolicy": "Always",
    "dnsPolicy": "ClusterFirst",
    "schedulerName": "default-scheduler",
}
POD_SECURITY = {
    "runAsNonRoot": True,
    "runAsUser": 65532,
    "runAsGroup": 65532,
    "seccompProfile": {"type": "RuntimeDefault"},
}
CONTAINER = frozenset(
    {"name", "ports", "resources", "readinessProbe", "livenessProbe", "volumeMounts"}
    | {"terminationMessagePath", "terminationMessagePolicy", "imagePullPolicy"}
)
CONTAINER_AS_IT_IS = {
    "command": ["pluginsandbox", "host", "--config", "/etc/pluginsandbox/config.json"],
    "env": [
        {
            "name": "POD_IP",
            "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": "status.podIP"}},
        }
    ],
    "securityContext": {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    },
}
PLACES = ("/plugins/", "/etc/pluginsandbox")


def of(kind: Kind, body: Body, host_image: str, admins: list[Body]) -> Iterator[str]:
    """Yield what an object gives to its author that it must not.

    Args:
        kind: Of the object.
        body: As the API server has it.
        host_image: The only image that may run.
        admins: Who may read the hosts' metrics.

    """
    name = body["metadata"].get("labels", {}).get(SANDBOX_LABEL, "")
    if CANARY in json.dumps(body):
        yield f"{kind.name} {body['metadata']['name']} tells {CANARY}"
    if kind is kinds.DEPLOYMENT:
        yield from _of_deployment(body, name, host_image)
    elif kind is kinds.SERVICE:
        yield from _of_service(body["spec"], name)
    elif kind is kinds.NETWORK_POLICY:
        yield from _of_policy(body["spec"], name, admins)
    elif kind is kinds.POD_DISRUPTION_BUDGET and body["spec"]["selector"] != _selects(name):
        yield "a PodDisruptionBudget over other pods"


def _of_deployment(body: Body, name: str, host_image: str) -> Iterator[str]:
    template = body["spec"]["template"]
    labels = template["metadata"]["labels"]
    if labels != {
        SANDBOX_LABEL: name,
        kinds.TRACK_LABEL: "stable",
        "app.kubernetes.io/managed-by": kinds.FIELD_MANAGER,
        "app.kubernetes.io/part-of": "pluginsandbox",
        "app.kubernetes.io/name": "host",
    }:
        yield f"labels of pods: {labels}"
    if template["metadata"]["annotations"].keys() != {kinds.TEMPLATE_ANNOTATION}:
        yield f"annotations of pods: {template['metadata']['annotations']}"
    pod = template["spec"]
    yield from _beyond("pod", pod, POD, POD_AS_IT_IS)
    if pod["securityContext"] != POD_SECURITY:
        yield f"security of the pod: {pod['securityContext']}"
    for volume in pod["volumes"]:
        yield from _of_volume(volume, name)
    if len(pod["containers"]) != 1:
        yield "containers beside the host"
    for container in pod["containers"]:
        yield from _beyond(
            "container", container, CONTAINER, {**CONTAINER_AS_IT_IS, "image": host_image}
        )
        yield from _of_mounts(container["volumeMounts"])


def _beyond(
    what: str, found: Body, free: frozenset[str], fixed: Mapping[str, Any]
) -> Iterator[str]:
    for field in found.keys() - free:
        if field not in fixed or found[field] != fixed[field]:
            yield f"{what}: {field}: {found[field]}"


def _of_volume(volume: Body, name: str) -> Iterator[str]:
    match {key: value for key, value in volume.items() if key != "name"}:
        case {"image": _}:
            return
        case {"configMap": {"name": source}} if source.startswith(f"{name}-"):
            return
        case {"projected": {"sources": sources}}:
            secrets = [each["secret"]["name"] for each in sources]
            if secrets == [f"{name}-peers", f"{name}-peers-rotation"]:
                return
        case _:
            pass
    yield f"volume {volume}"


def _of_mounts(mounts: list[Body]) -> Iterator[str]:
    for mount in mounts:
        path = mount["mountPath"]
        plain = path.startswith(PLACES) and ".." not in path.split("/")
        if not plain or not mount.get("readOnly") or "subPath" in mount:
            yield f"mount {mount}"
    places = [each["mountPath"] for each in mounts]
    if len(set(places)) < len(places):
        yield f"one place for two mounts: {places}"


def _of_service(spec: Body, name: str) -> Iterator[str]:
    if spec["selector"] != {SANDBOX_LABEL: name}:
        yield f"a Service of other pods: {spec['selector']}"
    if spec["type"] != "ClusterIP" or spec.get("externalIPs"):
        yield f"a Service that is open to the outside: {spec}"


def _of_policy(spec: Body, name: str, admins: list[Body]) -> Iterator[str]:
    own = [{"podSelector": _selects(name)}]
    if spec["podSelector"] != _selects(name) or len(spec["policyTypes"]) != 2:
        yield f"a NetworkPolicy over other pods: {spec['podSelector']}"
    for rule in spec["ingress"]:
        ports = [each["port"] for each in rule["ports"]]
        who = {PEERS_PORT: own, ADMIN_PORT: admins, HTTP_PORT: rule.get("from")}
        if len(ports) != 1 or rule.get("from") != who.get(ports[0]) or not rule.get("from"):
            yield f"callers: {rule}"
    for rule in spec["egress"]:
        ways = {each["port"] for each in rule["ports"]}
        if not (ways == {DNS_PORT} or (ways == {PEERS_PORT} and rule["to"] == own)):
            yield f"a way out: {rule}"


def _selects(name: str) -> Body:
    return {"matchLabels": {SANDBOX_LABEL: name}}
