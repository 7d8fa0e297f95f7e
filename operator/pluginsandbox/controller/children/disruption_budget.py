"""The PodDisruptionBudget: how many pods of a sandbox may be evicted at once; only for several.

One pod in ten and at least one, so that it never blocks the drain of a node; pods that are not
ready do not count.
"""

from __future__ import annotations

from pluginsandbox.api.sandbox import PluginSandbox
from pluginsandbox.controller import kinds
from pluginsandbox.controller.children.common import Manifest, manifest, selector

MAX_UNAVAILABLE = "10%"
"""Kubernetes rounds it up."""


def desired(sandbox: PluginSandbox) -> Manifest:
    """Return the PodDisruptionBudget."""
    spec = {
        "maxUnavailable": MAX_UNAVAILABLE,
        "unhealthyPodEvictionPolicy": "AlwaysAllow",
        "selector": {"matchLabels": selector(sandbox)},
    }
    return manifest(kinds.POD_DISRUPTION_BUDGET, sandbox, sandbox.metadata.name, spec=spec)
