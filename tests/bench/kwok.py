"""A control plane with a scheduler, and nodes that only say that pods run: KWOK's."""

from __future__ import annotations

import asyncio
import subprocess
from pathlib import Path
from typing import Any

from typing_extensions import override

from pluginsandbox.controller.cluster import Cluster
from pluginsandbox.controller.kinds import Kind
from tests.cluster import build
from tests.cluster.versions import KWOK
from tests.integration.operator.control_plane import ControlPlane, free_port

NODES = 4
PODS_PER_NODE = 5000
NODE = Kind("Node", "", "v1", "nodes", namespaced=False)
STAGES = (
    "node/fast/node-initialize.yaml",
    "pod/fast/pod-ready.yaml",
    "pod/fast/pod-delete.yaml",
)
POD_ADDRESSES = "127.77.0.1/16"
"""Loopback addresses at which nobody listens: a question to a host is refused at once."""


class KwokPlane(ControlPlane):
    """The processes of `ControlPlane`, a scheduler and KWOK."""

    @override
    def start(self) -> None:
        super().start()
        self.ports["scheduler"] = free_port()
        self.spawn("kube-scheduler")
        flags = ["--manage-all-nodes=true", f"--cidr={POD_ADDRESSES}"]
        flags += [f"--config={stage}" for stage in _stages()]
        program = build.ensure([KWOK])["kwok"] / "kwok"
        with (self.folder / "kwok.log").open("ab") as log:
            self.processes["kwok"] = subprocess.Popen(
                ["nice", "-n", "5", program, f"--kubeconfig={self.kubeconfig}", *flags],
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
            )

    @override
    def _flags(self, name: str) -> dict[str, object]:
        if name != "kube-scheduler":
            return super()._flags(name)
        return {
            "kubeconfig": self.kubeconfig,
            "authentication-kubeconfig": self.kubeconfig,
            "authorization-kubeconfig": self.kubeconfig,
            "bind-address": "127.0.0.1",
            "secure-port": self.ports["scheduler"],
            "cert-dir": self.folder / "scheduler",
            "leader-elect": "false",
            "kube-api-qps": 300,
            "kube-api-burst": 600,
        }


def _stages() -> list[Path]:
    """Return KWOK's own fast stages: what it does to nodes and pods, at once."""
    folder = build.sources(KWOK) / "kustomize" / "stage"
    return [folder / name for name in STAGES]


async def make_nodes(api: Cluster) -> None:
    """Make nodes with room for all pods."""
    room = {"cpu": "10000", "memory": "100Ti", "pods": str(PODS_PER_NODE)}
    for number in range(NODES):
        body: dict[str, Any] = {
            "metadata": {"name": f"kwok-{number}"},
            "status": {"capacity": room, "allocatable": room},
        }
        await api._insist("POST", NODE.path(""), {}, body)
        # Admission taints a new node, and no controller of ours would take that away.
        await api.merge(NODE, "", f"kwok-{number}", {"spec": {"taints": None}})
    for _ in range(600):
        nodes = await api.list(NODE, "")
        if all(_ready(node) for node in nodes):
            return
        await asyncio.sleep(0.1)
    raise TimeoutError("KWOK's nodes do not get ready")


def _ready(node: dict[str, Any]) -> bool:
    conditions = (node.get("status") or {}).get("conditions") or ()
    return any((each["type"], each["status"]) == ("Ready", "True") for each in conditions)


def resident_mib(pid: int) -> float:
    """Return the resident memory of a process."""
    fields = dict(
        line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines()
    )
    return int(fields["VmRSS"].split()[0]) / 1024
