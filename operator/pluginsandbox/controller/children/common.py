"""What every child object has in common: names, labels and its one owner."""

from __future__ import annotations

import hashlib
from typing import Any

import msgspec

from pluginsandbox.api.sandbox import API_VERSION, KIND, PluginSandbox
from pluginsandbox.controller.kinds import APPLIED_ANNOTATION, SANDBOX_LABEL, TRACK_LABEL, Kind

Manifest = dict[str, Any]

HTTP_PORT = 8080
PEERS_PORT = 8082
ADMIN_PORT = 9090
HTTP = "http"
PEERS = "peers"
ADMIN = "admin"

SHORT_HASH = 10


def short_hash(*parts: bytes) -> str:
    """Return 10 hex digits of SHA-256 over the parts, told apart by their lengths."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(b"%d\n" % len(part))
        digest.update(part)
    return digest.hexdigest()[:SHORT_HASH]


def hash_of(value: Any) -> str:
    """Return the short hash of plain data; equal data give equal hashes."""
    return short_hash(msgspec.json.encode(value, order="deterministic"))


def labels(sandbox: PluginSandbox) -> dict[str, str]:
    """Return the labels of every child."""
    return {
        SANDBOX_LABEL: sandbox.metadata.name,
        "app.kubernetes.io/managed-by": "pluginsandbox-operator",
        "app.kubernetes.io/part-of": "pluginsandbox",
    }


def selector(sandbox: PluginSandbox) -> dict[str, str]:
    """Return the labels that select all pods of the sandbox, whatever their track."""
    return {SANDBOX_LABEL: sandbox.metadata.name}


def stable_selector(sandbox: PluginSandbox) -> dict[str, str]:
    """Return the labels that select the pods of the sandbox's stable Deployment."""
    return {**selector(sandbox), TRACK_LABEL: "stable"}


def peers_name(sandbox: PluginSandbox) -> str:
    """Return the name of what pods find and know each other by; no sandbox has such a name."""
    return f"{sandbox.metadata.name}-peers"


def peers_rotation_name(sandbox: PluginSandbox) -> str:
    """Return the name of the Secret by which an administrator replaces the peers' key."""
    return f"{peers_name(sandbox)}-rotation"


def manifest(kind: Kind, sandbox: PluginSandbox, name: str, **parts: Any) -> Manifest:
    """Return a child's manifest: owned and labelled, with `parts` beside its metadata.

    An annotation carries the hash of all of it, so that a field which is no longer in the manifest
    is noticed although the live object contains everything else.
    """
    body: Manifest = {
        "apiVersion": kind.api_version,
        "kind": kind.name,
        "metadata": {
            "name": name,
            "namespace": sandbox.metadata.namespace,
            "labels": labels(sandbox),
            "ownerReferences": [_owner(sandbox)],
        },
        **parts,
    }
    body["metadata"]["annotations"] = {APPLIED_ANNOTATION: hash_of(body)}
    return body


def _owner(sandbox: PluginSandbox) -> dict[str, Any]:
    return {
        "apiVersion": API_VERSION,
        "kind": KIND,
        "name": sandbox.metadata.name,
        "uid": sandbox.metadata.uid,
        "controller": True,
        "blockOwnerDeletion": True,
    }
