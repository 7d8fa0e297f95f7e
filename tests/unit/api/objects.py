"""A valid PluginSandbox, and how the tests write variations of it."""

from __future__ import annotations

import copy
import re
from typing import Any, Final

DIGEST = "sha256:" + "ab" * 32


ABSENT: Final = ...
"""Stands for a field that is taken away."""

PLUGIN = {
    "name": "inventory-check",
    "runtime": "Python",
    "source": {"configMap": {"name": "inventory-plugin"}},
    "entryPoint": "inventory:InventoryCheck",
}


def sandbox(**changes: Any) -> dict[str, Any]:
    """Return a small valid object, changed.

    Args:
        changes: New values by path below `spec`, as in `{"plugins.0.name": "x"}`; a path that
            begins with `metadata` or a slash is one of the whole object. `ABSENT` takes away.

    """
    whole: dict[str, Any] = {
        "apiVersion": "pluginsandbox.dev/v1alpha1",
        "kind": "PluginSandbox",
        "metadata": {"name": "shop", "namespace": "default"},
        "spec": {"plugins": [copy.deepcopy(PLUGIN)]},
    }
    for path, value in changes.items():
        absolute = path.startswith(("/", "metadata."))
        _put(whole, path.removeprefix("/") if absolute else f"spec.{path}", copy.deepcopy(value))
    return whole


def _put(whole: dict[str, Any], path: str, value: Any) -> None:
    *parents, last = (int(part) if part.isdigit() else part for part in re.split(r"\.", path))
    place: Any = whole
    for part in parents:
        place = place.setdefault(part, {}) if isinstance(place, dict) else place[part]
    if value is ABSENT:
        del place[last]
    else:
        place[last] = value
