"""Starts the parts of the local cluster, each unless it runs already."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from tests.cluster import (
    addons,
    api,
    control_plane,
    dns,
    images,
    node,
    packages,
    process,
    sweep,
    sysctls,
)
from tests.cluster.errors import ClusterError
from tests.cluster.layout import Layout
from tests.cluster.system import run

_PATIENCE_SECONDS = 90.0

Programs = Mapping[str, Path]


def write_configs(layout: Layout, programs: Programs) -> None:
    """Write the configuration files; their readers are restarted if they changed.

    A file that is right already is not touched: kube-proxy ends as soon as its own is written.
    """
    for folder in (layout.config / "cni", layout.logs, layout.pods_logs, layout.run):
        folder.mkdir(parents=True, exist_ok=True)
    texts = {
        "audit-policy.json": json.dumps(control_plane.audit_policy()),
        "kubelet.json": json.dumps(node.kubelet_config(layout)),
        "kube-proxy.json": json.dumps(node.kube_proxy_config(layout)),
        "cni/pods.conflist": json.dumps(node.cni_config(layout)),
        "containerd.toml": _containerd_config(layout, programs),
    }
    for name, text in texts.items():
        path = layout.config / name
        if not path.exists() or path.read_text() != text:
            path.write_text(text)


def _containerd_config(layout: Layout, programs: Programs) -> str:
    plugins = packages.cni_folder()
    if plugins is None:
        raise ClusterError("the CNI plugins bridge and host-local are not installed")
    shim = programs["containerd"] / "containerd-shim-runc-v2"
    return node.containerd_config(layout, shim, plugins, images.reference("pause", programs))


def database_and_api(layout: Layout, programs: Programs, pki: str) -> None:
    """Start etcd and the API server, without waiting for either."""
    kubernetes = programs["kubernetes"]
    process.start(layout, control_plane.etcd(layout, programs["etcd"] / "etcd", pki))
    process.start(layout, control_plane.api_server(layout, kubernetes / "kube-apiserver", pki))


def runtime(layout: Layout, programs: Programs) -> None:
    """Start containerd and give it the images of the cluster itself."""
    folder = programs["containerd"]
    config = _containerd_config(layout, programs)
    process.start(layout, node.containerd(layout, folder / "containerd", config))
    answers = ("version",)
    process.wait_for(
        "containerd",
        lambda: images.ctr_succeeds(layout, folder, *answers),
        layout,
        "containerd",
        _PATIENCE_SECONDS,
    )
    images.ensure(layout, programs)


def wait_for_api(layout: Layout) -> None:
    """Wait until the API server is ready."""
    process.wait_for(
        "API server", lambda: api.ready(layout), layout, "kube-apiserver", _PATIENCE_SECONDS
    )


def workers(layout: Layout, programs: Programs, pki: str) -> None:
    """Start what uses the API server."""
    folder = programs["kubernetes"]
    for component in (
        control_plane.controller_manager(layout, folder / "kube-controller-manager", pki),
        control_plane.scheduler(layout, folder / "kube-scheduler", pki),
        node.kube_proxy(layout, folder / "kube-proxy", pki),
        node.policy_agent(pki),
    ):
        process.start(layout, component)
    if process.running(layout, "kubelet") is None:
        sweep.remember_folders(layout)
        sysctls.remember(layout)
    process.start(layout, node.kubelet(layout, folder / "kubelet", pki))


def apply_addons(layout: Layout, programs: Programs) -> None:
    """Apply DNS and permissions, unless just these are applied and DNS answers."""
    items = addons.manifests(images.reference("coredns", programs))
    text = json.dumps({"apiVersion": "v1", "kind": "List", "items": items})
    note = layout.state / "addons.json"
    if note.exists() and note.read_text() == text and dns.answers():
        return
    kubectl = programs["kubernetes"] / "kubectl"
    command = ("apply", "--server-side", "--force-conflicts", "-f", "-")
    env = {**process.environment(layout), "KUBECONFIG": str(layout.kubeconfig)}
    run(kubectl, *command, text=text, env=env)
    note.write_text(text)


def wait_for_node(layout: Layout) -> None:
    """Wait until the node takes pods, then put the kernel settings back."""
    process.wait_for("node", lambda: api.node_ready(layout), layout, "kubelet", _PATIENCE_SECONDS)
    sysctls.restore(layout)


def wait_for_dns(layout: Layout) -> None:
    """Wait until the cluster's DNS answers."""
    process.wait_for("cluster DNS", dns.answers, layout, "kubelet", _PATIENCE_SECONDS)
