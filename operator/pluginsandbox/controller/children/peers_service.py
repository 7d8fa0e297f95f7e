"""The name by which the pods of a sandbox find each other."""

from __future__ import annotations

from pluginsandbox.api.sandbox import PluginSandbox
from pluginsandbox.controller.children.common import peers_name


def address(sandbox: PluginSandbox) -> str:
    """Return the name that resolves to all pods, whatever the cluster's domain."""
    return f"{peers_name(sandbox)}.{sandbox.metadata.namespace}.svc"
