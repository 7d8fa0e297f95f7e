"""What runs in the cluster to make it one: DNS, and the API server's right to ask the kubelet."""

from __future__ import annotations

import hashlib
from typing import Any

from tests.cluster.layout import DNS_ADDRESS, DNS_DOMAIN

NAMESPACE = "kube-system"
_DNS_LABELS = {"k8s-app": "kube-dns"}
_RBAC = "rbac.authorization.k8s.io"

# Names outside the cluster do not exist here, and nothing is asked of the machine's resolver.
COREFILE = f"""{DNS_DOMAIN}:53 in-addr.arpa:53 {{
    errors
    health
    ready
    kubernetes {DNS_DOMAIN} in-addr.arpa {{
        pods insecure
        ttl 5
    }}
    cache 5
}}
.:53 {{
    errors
    template ANY ANY {{
        rcode NXDOMAIN
    }}
}}
"""


def manifests(dns_image: str) -> list[dict[str, Any]]:
    """All objects, in an order in which they can be applied.

    Args:
        dns_image: the image with CoreDNS, present on the node.
    """
    return [
        _binding(
            "kube-apiserver-kubelet",
            "system:kubelet-api-admin",
            _user("kube-apiserver-kubelet-client"),
        ),
        _policy_role(),
        _binding("policy-agent", "policy-agent", _user("pluginsandbox-policy-agent")),
        _object("v1", "ServiceAccount", "coredns"),
        _dns_role(),
        _binding("coredns", "coredns", _service_account()),
        _object("v1", "ConfigMap", "coredns", data={"Corefile": COREFILE}),
        _object("apps/v1", "Deployment", "coredns", spec=_dns_deployment(dns_image)),
        _object("v1", "Service", "kube-dns", spec=_dns_service()),
    ]


def _object(version: str, kind: str, name: str, **rest: Any) -> dict[str, Any]:
    metadata = {"name": name, "namespace": NAMESPACE, "labels": _DNS_LABELS}
    return {"apiVersion": version, "kind": kind, "metadata": metadata, **rest}


def _user(name: str) -> dict[str, str]:
    return {"kind": "User", "name": name, "apiGroup": _RBAC}


def _service_account() -> dict[str, str]:
    return {"kind": "ServiceAccount", "name": "coredns", "namespace": NAMESPACE}


def _binding(name: str, role: str, subject: dict[str, str]) -> dict[str, Any]:
    return {
        "apiVersion": f"{_RBAC}/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": f"pluginsandbox-cluster:{name}"},
        "roleRef": {"apiGroup": _RBAC, "kind": "ClusterRole", "name": _role_name(role)},
        "subjects": [subject],
    }


def _role_name(role: str) -> str:
    return role if role.startswith("system:") else f"pluginsandbox-cluster:{role}"


def _dns_role() -> dict[str, Any]:
    return _reader(
        "coredns",
        {"": ["services", "pods", "namespaces"], "discovery.k8s.io": ["endpointslices"]},
    )


def _policy_role() -> dict[str, Any]:
    return _reader(
        "policy-agent", {"": ["pods", "namespaces"], "networking.k8s.io": ["networkpolicies"]}
    )


def _reader(name: str, resources: dict[str, list[str]]) -> dict[str, Any]:
    verbs = ["list", "watch"]
    rules = [{"apiGroups": [g], "resources": r, "verbs": verbs} for g, r in resources.items()]
    return {
        "apiVersion": f"{_RBAC}/v1",
        "kind": "ClusterRole",
        "metadata": {"name": _role_name(name)},
        "rules": rules,
    }


def _dns_deployment(image: str) -> dict[str, Any]:
    container = {
        "name": "coredns",
        "image": image,
        "imagePullPolicy": "Never",
        "args": ["-conf", "/etc/coredns/Corefile"],
        "ports": [
            {"name": "dns", "containerPort": 53, "protocol": "UDP"},
            {"name": "dns-tcp", "containerPort": 53, "protocol": "TCP"},
        ],
        "readinessProbe": {
            "httpGet": {"path": "/ready", "port": 8181},
            "periodSeconds": 1,
            "failureThreshold": 5,
        },
        "resources": {"requests": {"cpu": "10m", "memory": "32Mi"}, "limits": {"memory": "170Mi"}},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": [{"name": "config", "mountPath": "/etc/coredns", "readOnly": True}],
    }
    spec = {
        "priorityClassName": "system-cluster-critical",
        "serviceAccountName": "coredns",
        "dnsPolicy": "Default",
        "terminationGracePeriodSeconds": 5,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": 65532,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [container],
        "volumes": [{"name": "config", "configMap": {"name": "coredns"}}],
    }
    digest = hashlib.sha256(COREFILE.encode()).hexdigest()
    return {
        "replicas": 1,
        "selector": {"matchLabels": _DNS_LABELS},
        "template": {
            # CoreDNS reads its configuration once, so a change of it has to change the pod.
            "metadata": {"labels": _DNS_LABELS, "annotations": {"corefile-sha256": digest}},
            "spec": spec,
        },
    }


def _dns_service() -> dict[str, Any]:
    return {
        "clusterIP": str(DNS_ADDRESS),
        "selector": _DNS_LABELS,
        "ports": [
            {"name": "dns", "port": 53, "protocol": "UDP"},
            {"name": "dns-tcp", "port": 53, "protocol": "TCP"},
        ],
    }
