"""Command lines and files of etcd, the API server, the controllers and the scheduler.

Pure: from folders to `Component`s and texts. Speed settings matter here: a test that starts 86
pods at once measures the operator, so the cluster must not throttle itself.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.cluster.layout import (
    API_PORT,
    DNS_DOMAIN,
    NODE_ADDRESS,
    POD_RANGE,
    SERVICE_RANGE,
    Layout,
)
from tests.cluster.process import Component

ETCD_PORT = 12379
ETCD_PEER_PORT = 12380
_ISSUER = f"https://kubernetes.default.svc.{DNS_DOMAIN}"


def render_flags(values: dict[str, object]) -> list[str]:
    return [f"--{name}={value}" for name, value in values.items()]


def etcd(layout: Layout, program: Path, pki: str) -> Component:
    """The database, on loopback, open to the API server's certificate alone."""
    url = f"https://127.0.0.1:{ETCD_PORT}"
    peer = f"https://127.0.0.1:{ETCD_PEER_PORT}"
    key, certificate, ca = (layout.pki / f for f in ("etcd.key", "etcd.crt", "etcd-ca.crt"))
    flags = {
        "name": "local",
        "data-dir": layout.state / "etcd",
        "listen-client-urls": url,
        "advertise-client-urls": url,
        "listen-peer-urls": peer,
        "initial-advertise-peer-urls": peer,
        "initial-cluster": f"local={peer}",
        "client-cert-auth": "true",
        "cert-file": certificate,
        "key-file": key,
        "trusted-ca-file": ca,
        "peer-client-cert-auth": "true",
        "peer-cert-file": certificate,
        "peer-key-file": key,
        "peer-trusted-ca-file": ca,
        # Survives a crash of every process, not of the machine: enough for a test cluster.
        "unsafe-no-fsync": "true",
        "log-level": "warn",
    }
    return Component("etcd", [str(program), *render_flags(flags)], pki)


def api_server(layout: Layout, program: Path, pki: str) -> Component:
    """The API server, on the node's own address."""
    key = layout.pki.joinpath
    flags = {
        "bind-address": NODE_ADDRESS,
        "advertise-address": NODE_ADDRESS,
        "secure-port": API_PORT,
        "etcd-servers": f"https://127.0.0.1:{ETCD_PORT}",
        "etcd-cafile": key("etcd-ca.crt"),
        "etcd-certfile": key("apiserver-etcd-client.crt"),
        "etcd-keyfile": key("apiserver-etcd-client.key"),
        "client-ca-file": key("ca.crt"),
        "tls-cert-file": key("apiserver.crt"),
        "tls-private-key-file": key("apiserver.key"),
        "kubelet-certificate-authority": key("ca.crt"),
        "kubelet-client-certificate": key("apiserver-kubelet-client.crt"),
        "kubelet-client-key": key("apiserver-kubelet-client.key"),
        "kubelet-preferred-address-types": "InternalIP",
        "requestheader-client-ca-file": key("front-proxy-ca.crt"),
        "requestheader-allowed-names": "front-proxy-client",
        "requestheader-username-headers": "X-Remote-User",
        "requestheader-group-headers": "X-Remote-Group",
        "requestheader-extra-headers-prefix": "X-Remote-Extra-",
        "proxy-client-cert-file": key("front-proxy-client.crt"),
        "proxy-client-key-file": key("front-proxy-client.key"),
        "service-account-issuer": _ISSUER,
        "service-account-key-file": key("service-account.pub"),
        "service-account-signing-key-file": key("service-account.key"),
        "service-cluster-ip-range": SERVICE_RANGE,
        "authorization-mode": "Node,RBAC",
        "enable-admission-plugins": "NodeRestriction",
        "anonymous-auth": "false",
        "allow-privileged": "true",
        "profiling": "false",
        "audit-policy-file": layout.config / "audit-policy.json",
        "audit-log-path": layout.audit_log,
        "audit-log-maxsize": 64,
        "audit-log-maxbackup": 1,
    }
    salt = pki + json.dumps(audit_policy())
    return Component("kube-apiserver", [str(program), *render_flags(flags)], salt)


def controller_manager(layout: Layout, program: Path, pki: str) -> Component:
    """The controllers of Deployments, ReplicaSets, EndpointSlices, garbage and the rest."""
    flags = {
        **_common(layout, "controller-manager"),
        "secure-port": 10257,
        "cluster-signing-cert-file": layout.pki / "ca.crt",
        "cluster-signing-key-file": layout.pki / "ca.key",
        "root-ca-file": layout.pki / "ca.crt",
        "service-account-private-key-file": layout.pki / "service-account.key",
        "use-service-account-credentials": "true",
        "cluster-cidr": POD_RANGE,
        "service-cluster-ip-range": SERVICE_RANGE,
    }
    return Component("kube-controller-manager", [str(program), *render_flags(flags)], pki)


def scheduler(layout: Layout, program: Path, pki: str) -> Component:
    """The scheduler."""
    flags = {**_common(layout, "scheduler"), "secure-port": 10259}
    return Component("kube-scheduler", [str(program), *render_flags(flags)], pki)


def _common(layout: Layout, user: str) -> dict[str, object]:
    kubeconfig = layout.pki / f"{user}.kubeconfig"
    return {
        "kubeconfig": kubeconfig,
        "authentication-kubeconfig": kubeconfig,
        "authorization-kubeconfig": kubeconfig,
        "bind-address": "127.0.0.1",
        "tls-cert-file": layout.pki / "loopback-server.crt",
        "tls-private-key-file": layout.pki / "loopback-server.key",
        "leader-elect": "false",
        "kube-api-qps": 300,
        "kube-api-burst": 600,
        "profiling": "false",
    }


def audit_policy() -> dict[str, Any]:
    """Every write, without its body; the node's heartbeats and all events left out."""
    nothing = [
        {"level": "None", "verbs": ["get", "list", "watch"]},
        {"level": "None", "resources": [{"group": "", "resources": ["events"]}]},
        {"level": "None", "resources": [{"group": "events.k8s.io", "resources": ["events"]}]},
        {
            "level": "None",
            "userGroups": ["system:nodes"],
            "resources": [{"group": "coordination.k8s.io", "resources": ["leases"]}],
        },
        {
            "level": "None",
            "users": ["system:apiserver"],
            "resources": [{"group": "coordination.k8s.io", "resources": ["leases"]}],
        },
    ]
    return {
        "apiVersion": "audit.k8s.io/v1",
        "kind": "Policy",
        "omitStages": ["RequestReceived"],
        "rules": [*nothing, {"level": "Metadata"}],
    }
