"""The PodMonitor, where the Prometheus operator is installed."""

from __future__ import annotations

from pluginsandbox.api.sandbox import PluginSandbox
from pluginsandbox.controller import kinds
from pluginsandbox.controller.children.common import ADMIN, Manifest, manifest, selector


def desired(sandbox: PluginSandbox) -> Manifest:
    """Return the PodMonitor."""
    spec = {
        "selector": {"matchLabels": selector(sandbox)},
        "podMetricsEndpoints": [{"port": ADMIN, "path": "/metrics"}],
    }
    return manifest(kinds.POD_MONITOR, sandbox, sandbox.metadata.name, spec=spec)
