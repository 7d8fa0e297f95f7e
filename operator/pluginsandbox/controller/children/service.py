"""The Service under the sandbox's own name: where callers go."""

from __future__ import annotations

from pluginsandbox.api.sandbox import PluginSandbox
from pluginsandbox.controller import kinds
from pluginsandbox.controller.children.common import HTTP, HTTP_PORT, Manifest, manifest, selector


def desired(sandbox: PluginSandbox) -> Manifest:
    """Return the Service."""
    port = {"name": HTTP, "port": HTTP_PORT, "targetPort": HTTP, "protocol": "TCP"}
    spec = {"type": "ClusterIP", "selector": selector(sandbox), "ports": [port]}
    return manifest(kinds.SERVICE, sandbox, sandbox.metadata.name, spec=spec)


def endpoint(sandbox: PluginSandbox) -> str:
    """Return the URL of the Service within the cluster, whatever the cluster's domain."""
    return f"http://{sandbox.metadata.name}.{sandbox.metadata.namespace}.svc:{HTTP_PORT}"
