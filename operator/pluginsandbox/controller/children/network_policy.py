"""The NetworkPolicy: who may call the pods, and the little that pods may call themselves."""

from __future__ import annotations

from typing import Any

from pluginsandbox.api.sandbox import PluginSandbox
from pluginsandbox.controller import kinds
from pluginsandbox.controller.children.common import (
    ADMIN_PORT,
    HTTP_PORT,
    PEERS_PORT,
    Manifest,
    manifest,
    selector,
)
from pluginsandbox.controller.settings import SELECTOR_NAMESPACE, Settings

DNS_PORT = 53


def desired(sandbox: PluginSandbox, settings: Settings) -> Manifest | None:
    """Return the NetworkPolicy, or None where the author manages the network."""
    if sandbox.spec.network.policy != "Managed":
        return None
    callers = [peer.dump() for peer in sandbox.spec.network.allow_from] or [{"podSelector": {}}]
    peers = [{"podSelector": {"matchLabels": selector(sandbox)}}]
    ingress = [
        {"from": callers, "ports": [_port(HTTP_PORT)]},
        {"from": peers, "ports": [_port(PEERS_PORT)]},
    ]
    readers = _readers(settings)
    if readers:
        ingress.append({"from": readers, "ports": [_port(ADMIN_PORT)]})
    dns = _pods(settings.dns.namespace, settings.dns.pod_labels)
    spec = {
        "podSelector": {"matchLabels": selector(sandbox)},
        "policyTypes": ["Ingress", "Egress"],
        "ingress": ingress,
        "egress": [
            {"to": [dns], "ports": [_port(DNS_PORT, "UDP"), _port(DNS_PORT)]},
            {"to": peers, "ports": [_port(PEERS_PORT)]},
        ],
    }
    return manifest(kinds.NETWORK_POLICY, sandbox, sandbox.metadata.name, spec=spec)


def _readers(settings: Settings) -> list[dict[str, Any]]:
    """Return who may read the hosts' metrics and statistics."""
    operator, monitoring = settings.operator, settings.monitoring
    readers = [_pods(operator.namespace, operator.pod_labels)] if operator.namespace else []
    readers += [_pods(monitoring.namespace, {})] if monitoring.namespace else []
    return readers


def _pods(namespace: str, labels: dict[str, str]) -> dict[str, Any]:
    peer: dict[str, Any] = {"namespaceSelector": {"matchLabels": {SELECTOR_NAMESPACE: namespace}}}
    return peer | ({"podSelector": {"matchLabels": labels}} if labels else {})


def _port(number: int, protocol: str = "TCP") -> dict[str, Any]:
    return {"port": number, "protocol": protocol}
