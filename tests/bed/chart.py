"""What the chart renders, as objects."""

from __future__ import annotations

import json
from typing import Any

import yaml

from tests.bed import platform, shell
from tests.cluster import tools

Rules = list[dict[str, Any]]

RELEASE = "pluginsandbox"


def rendered(namespace: str, **values: Any) -> list[dict[str, Any]]:
    """Return the chart's objects, as a release in a namespace has them."""
    words = ("template", RELEASE, platform.CHART, "--namespace", namespace, "--values", "-")
    text = shell.run(tools.find("helm"), *words, stdin=json.dumps(values)).stdout
    return [each for each in yaml.safe_load_all(text) if each]


def rules(namespace: str, **values: Any) -> tuple[Rules, Rules]:
    """Return the operator's rights: where it watches, and in its own namespace."""
    objects = rendered(namespace, **values)
    named = {each["metadata"]["name"]: each for each in objects if each["kind"] in _ROLES}
    wide = named.get(f"{namespace}:{RELEASE}") or named[RELEASE]
    return wide["rules"], named[f"{RELEASE}-lease"]["rules"]


_ROLES = ("ClusterRole", "Role")
