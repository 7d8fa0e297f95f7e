"""The headless Service by which the pods of a sandbox find each other; only for several pods.

A pod that is leaving is found, too: it still holds contexts.
"""

from __future__ import annotations

from pluginsandbox.api.sandbox import PluginSandbox
from pluginsandbox.controller import kinds
from pluginsandbox.controller.children.common import (
    PEERS,
    PEERS_PORT,
    Manifest,
    manifest,
    peers_name,
    selector,
)


def desired(sandbox: PluginSandbox) -> Manifest:
    """Return the Service."""
    port = {"name": PEERS, "port": PEERS_PORT, "targetPort": PEERS, "protocol": "TCP"}
    spec = {
        "type": "ClusterIP",
        "clusterIP": "None",
        "publishNotReadyAddresses": True,
        "selector": selector(sandbox),
        "ports": [port],
    }
    return manifest(kinds.SERVICE, sandbox, peers_name(sandbox), spec=spec)


def address(sandbox: PluginSandbox) -> str:
    """Return the name that resolves to all pods, whatever the cluster's domain.

    They are in its namespace, where the first name that they try of a short one is the right one.
    """
    return peers_name(sandbox)
