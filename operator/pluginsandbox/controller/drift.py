"""Tells whether applying a manifest would change a live object, without asking the server.

A live object holds what we applied, what the server defaulted and what others own. So it is enough
that it *covers* the manifest: every field of ours is there with a value that means the same. What
we no longer say does not show that way; the annotation with the manifest's hash shows it.

A webhook may rewrite a field of ours each time. Applying again would never end that, so the writer
remembers what the server made of which manifest (`said`) and stays quiet while it is still the
same. That also spares comparing field by field what was compared before.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

import msgspec
from kubernetes.utils.quantity import parse_quantity

_MERGE_KEYS: Mapping[str, tuple[str, ...]] = {
    "containers": ("name",),
    "env": ("name",),
    "volumes": ("name",),
    "volumeMounts": ("mountPath",),
    "ownerReferences": ("uid",),
    "imagePullSecrets": ("name",),
    "topologySpreadConstraints": ("topologyKey", "whenUnsatisfiable"),
}
"""Lists that server-side apply merges by keys: others may add entries, the order is free."""
_ATOMIC = frozenset({"selector", "matchLabels", "podSelector", "namespaceSelector", "nodeSelector"})
"""Mappings that are owned whole: an entry that somebody adds changes what ours mean."""
_QUANTITIES = frozenset({"limits", "requests"})
_ABSENT = object()
_parse: Callable[[Any], Decimal] = parse_quantity


def covers(live: Any, manifest: Any) -> bool:
    """Tell whether a live object has all that the manifest says."""
    return next(differences(live, manifest), None) is None


def differences(live: Any, manifest: Any, path: str = "") -> Iterator[str]:
    """Yield the path of each field that the live object lacks or has otherwise."""
    if isinstance(manifest, dict):
        yield from _in_mapping(live, manifest, path)
    elif isinstance(manifest, list):
        yield from _in_list(live, manifest, path)
    elif live != manifest and not _same_quantity(live, manifest, path):
        yield path


def said(live: Mapping[str, Any]) -> bytes:
    """Return a digest of what a manifest can say about a live object, its status left out."""
    metadata = live.get("metadata") or {}
    named = [metadata.get(name) for name in ("labels", "annotations", "ownerReferences")]
    words = [*named, live.get("spec"), live.get("immutable")]
    return hashlib.sha256(msgspec.json.encode(words, order="deterministic")).digest()


def _in_mapping(live: Any, manifest: dict[str, Any], path: str) -> Iterator[str]:
    found = live if isinstance(live, dict) else {}
    if manifest and not isinstance(live, dict):
        yield path
        return
    for name, value in manifest.items():
        inner = f"{path}.{name}" if path else name
        mine = found.get(name, _ABSENT)
        if mine is _ABSENT and _empty(value):
            continue  # the server leaves out what is empty
        yield from differences(None if mine is _ABSENT else mine, value, inner)
    if path.rpartition(".")[2] in _ATOMIC:
        yield from (f"{path}.{name}" for name in found if name not in manifest)


def _in_list(live: Any, manifest: list[Any], path: str) -> Iterator[str]:
    found = live if isinstance(live, list) else []
    keys = _merge_keys(path)
    if keys is None:
        if len(found) != len(manifest):
            yield path
            return
        for index, (mine, value) in enumerate(zip(found, manifest, strict=True)):
            yield from differences(mine, value, f"{path}[{index}]")
        return
    by_key = {_identity(each, keys): each for each in found}
    for value in manifest:
        identity = _identity(value, keys)
        inner = f"{path}[{','.join(map(str, identity))}]"
        yield from differences(by_key.get(identity), value, inner)


def _merge_keys(path: str) -> tuple[str, ...] | None:
    # `ports` of a Service and of a container merge, those of a NetworkPolicy do not.
    if path == "spec.ports":
        return ("port", "protocol")
    if path.endswith(".ports") and "containers[" in path:
        return ("containerPort", "protocol")
    return _MERGE_KEYS.get(path.rpartition(".")[2])


def _identity(item: Any, keys: Sequence[str]) -> tuple[Any, ...]:
    return tuple(item.get(key) for key in keys) if isinstance(item, dict) else (item,)


def _empty(value: Any) -> bool:
    return value is None or value is False or value in ({}, [], "", 0)


def _same_quantity(live: Any, manifest: Any, path: str) -> bool:
    parent = path.rpartition(".")[0].rpartition(".")[2]
    if parent not in _QUANTITIES or live is None:
        return False
    try:
        return _parse(live) == _parse(manifest)
    except ValueError:
        return False
