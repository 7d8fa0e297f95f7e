"""metrics-server as a process of this machine: what a HorizontalPodAutoscaler reads of pods.

The API server finds it as any aggregated API, through a Service; that one has no pods behind it but
the node's own address, so this needs the local node.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.bed.kubectl import Kubectl, until
from tests.cluster import build
from tests.cluster.layout import NODE_ADDRESS
from tests.cluster.versions import METRICS_SERVER
from tests.integration.operator.control_plane import free_port

NAME, NAMESPACE = "metrics-server", "kube-system"
API = "v1beta1.metrics.k8s.io"
RESOLUTION_SECONDS = 10
SECONDS = 120.0


@contextlib.contextmanager
def metrics_server(kubectl: Kubectl, folder: Path) -> Iterator[None]:
    """Run it until the block ends; nothing of it stays on the cluster.

    Args:
        kubectl: Of the local cluster, as its administrator.
        folder: Of its certificate and log; made.

    """
    folder.mkdir()
    port = free_port()
    flags = {
        "kubeconfig": kubectl.kubeconfig,
        "authentication-kubeconfig": kubectl.kubeconfig,
        "authorization-kubeconfig": kubectl.kubeconfig,
        "bind-address": NODE_ADDRESS,
        "secure-port": port,
        "cert-dir": folder,
        "kubelet-preferred-address-types": "InternalIP",
        "kubelet-insecure-tls": "true",
        "kubelet-request-timeout": f"{RESOLUTION_SECONDS // 2}s",
        "metric-resolution": f"{RESOLUTION_SECONDS}s",
    }
    program = build.ensure([METRICS_SERVER])[METRICS_SERVER.name] / NAME
    command = [str(program), *(f"--{key}={value}" for key, value in flags.items())]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
    try:
        kubectl.apply(json.dumps({"apiVersion": "v1", "kind": "List", "items": _objects(port)}))
        until("metrics of pods", lambda: _tells(kubectl), seconds=SECONDS, every=1)
        yield
    finally:
        kubectl.delete("apiservice", API)
        for kind in ("service", "endpointslice"):
            kubectl.delete(kind, NAME, "-n", NAMESPACE)
        process.terminate()
        process.wait(timeout=30)


def _tells(kubectl: Kubectl) -> bool:
    found = json.loads(kubectl("get", "--raw", "/apis/metrics.k8s.io/v1beta1/pods"))
    return bool(found["items"])


def _objects(port: int) -> list[dict[str, Any]]:
    metadata = {"name": NAME, "namespace": NAMESPACE}
    labels = {"kubernetes.io/service-name": NAME}
    return [
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": metadata,
            "spec": {"ports": [{"name": "https", "port": 443}]},
        },
        {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {**metadata, "labels": labels},
            "addressType": "IPv4",
            "endpoints": [{"addresses": [str(NODE_ADDRESS)], "conditions": {"ready": True}}],
            "ports": [{"name": "https", "port": port}],
        },
        {
            "apiVersion": "apiregistration.k8s.io/v1",
            "kind": "APIService",
            "metadata": {"name": API},
            "spec": {
                "group": "metrics.k8s.io",
                "version": "v1beta1",
                "groupPriorityMinimum": 100,
                "versionPriority": 100,
                "insecureSkipTLSVerify": True,
                "service": {"name": NAME, "namespace": NAMESPACE},
            },
        },
    ]
