"""Cuts objects of the API down to what the controller looks at, before the store keeps them.

A thousand sandboxes are some ten thousand objects; managedFields, other controllers' annotations
and the files of plugins would be most of their memory. Of a ConfigMap with a plugin's files the
store keeps a summary: the files are read again when a snapshot is made.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Mapping
from typing import Any

from pluginsandbox.api.names import GROUP
from pluginsandbox.controller import kinds
from pluginsandbox.controller.children.config_snapshot import CONFIG_KEY, config_digest
from pluginsandbox.controller.kinds import Kind
from pluginsandbox.verify.digest import tree_digest

Body = dict[str, Any]

_META = (
    *("name", "namespace", "uid", "resourceVersion", "generation", "labels", "ownerReferences"),
    *("creationTimestamp", "deletionTimestamp"),
)
_CONTAINER = ("name", "ready", "started", "restartCount", "state", "lastState")
_DEPLOYMENT_STATUS = ("observedGeneration", "replicas", "updatedReplicas", "readyReplicas")
_DEPLOYMENT_CONDITIONS: Mapping[str, tuple[str, ...]] = {
    "Progressing": ("type", "status", "reason"),
    "ReplicaFailure": ("type", "status", "reason", "message"),
}
_POD_STATUS = ("phase", "reason", "message", "podIP", "conditions", "startTime")


def trim(kind: Kind, body: Mapping[str, Any]) -> Body:
    """Return a new object with only what the controller uses of this kind."""
    out: Body = {"metadata": _metadata(body)}
    out.update(_TRIMMERS.get(kind, _spec_and_status)(body))
    return out


def files(body: Mapping[str, Any]) -> dict[str, bytes]:
    """Return the files of a ConfigMap: name to content.

    A key cannot be in `data` and in `binaryData` at once: the API server refuses it.
    """
    text = {key: value.encode() for key, value in (body.get("data") or {}).items()}
    return text | {key: _binary(value) for key, value in (body.get("binaryData") or {}).items()}


def stored_bytes(body: Mapping[str, Any]) -> int:
    """Return the size of a ConfigMap's content as the API server counts it."""
    entries = {**(body.get("data") or {}), **(body.get("binaryData") or {})}
    return sum(len(key) + len(value.encode()) for key, value in entries.items())


def summary(body: Mapping[str, Any]) -> Body:
    """Return what the store keeps of a ConfigMap's files: their digest, names and size."""
    content = files(body)
    return {
        "digest": tree_digest(content),
        "keys": sorted(content),
        "bytes": stored_bytes(body),
    }


def _binary(value: str) -> bytes:
    try:
        return base64.b64decode(value, validate=False)
    except binascii.Error:
        return value.encode()


def _metadata(body: Mapping[str, Any]) -> Body:
    full = body.get("metadata") or {}
    kept = {name: full[name] for name in _META if full.get(name) is not None}
    own = {
        key: value
        for key, value in (full.get("annotations") or {}).items()
        if key.startswith(f"{GROUP}/") or key == kinds.DELETION_COST
    }
    return kept | ({"annotations": own} if own else {})


def _spec_and_status(body: Mapping[str, Any]) -> Body:
    return {part: body[part] for part in ("spec", "status") if part in body}


def _spec(body: Mapping[str, Any]) -> Body:
    return {"spec": body.get("spec") or {}}


def _deployment(body: Mapping[str, Any]) -> Body:
    """Keep what is looked at of the status: the rest changes twice as often."""
    status = body.get("status") or {}
    kept = {name: status[name] for name in _DEPLOYMENT_STATUS if name in status}
    kept["conditions"] = [
        {name: each[name] for name in _DEPLOYMENT_CONDITIONS[each["type"]] if name in each}
        for each in status.get("conditions") or ()
        if each["type"] in _DEPLOYMENT_CONDITIONS
    ]
    return {"spec": body.get("spec") or {}, "status": kept}


def _config_map(body: Mapping[str, Any]) -> Body:
    labels = (body.get("metadata") or {}).get("labels") or {}
    if kinds.SANDBOX_LABEL in labels:
        return {"immutable": body.get("immutable", False), "config": _config(body)}
    return {"files": body["files"] if "files" in body else summary(body)}


def _config(body: Mapping[str, Any]) -> str:
    """Return the digest of a snapshot's configuration, which itself has those of all files."""
    if "config" in body:
        return str(body["config"])
    return config_digest((body.get("data") or {}).get(CONFIG_KEY, ""))


def _pod(body: Mapping[str, Any]) -> Body:
    status = body.get("status") or {}
    containers = status.get("containerStatuses") or ()
    kept = {name: status[name] for name in _POD_STATUS if name in status}
    kept["containerStatuses"] = [
        {name: each[name] for name in _CONTAINER if name in each} for each in containers
    ]
    return {"status": kept}


_TRIMMERS: Mapping[Kind, Callable[[Mapping[str, Any]], Body]] = {
    kinds.CONFIG_MAP: _config_map,
    kinds.DEPLOYMENT: _deployment,
    kinds.POD: _pod,
    kinds.SERVICE: _spec,
    kinds.NETWORK_POLICY: _spec,
    kinds.POD_DISRUPTION_BUDGET: _spec,
    kinds.POD_MONITOR: _spec,
}
