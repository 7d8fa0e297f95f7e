"""A control plane with a scheduler, and nodes that only say that pods run: KWOK's."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import subprocess
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import yaml
from aiohttp import web
from typing_extensions import override

from pluginsandbox.controller.children.common import ADMIN_PORT
from pluginsandbox.controller.cluster import Cluster
from pluginsandbox.controller.kinds import Kind
from tests.cluster import build
from tests.cluster.versions import KWOK
from tests.integration.operator.control_plane import ControlPlane, free_port

NODES = 4
PODS_PER_NODE = 5000
NODE = Kind("Node", "", "v1", "nodes", namespaced=False)
STAGES = ("node/fast/node-initialize.yaml", "pod/fast/pod-delete.yaml")
READY = "pod/fast/pod-ready.yaml"
HOSTS = f"127.77.{os.getpid() % 250}.1"
"""Address of all pods; a stub of a host answers there. Another bench has another one."""


class KwokPlane(ControlPlane):
    """The processes of `ControlPlane`, a scheduler and KWOK."""

    @override
    def start(self) -> None:
        super().start()
        self.ports["scheduler"] = free_port()
        self.spawn("kube-scheduler")
        stages = _folder()
        configs = [stages / name for name in STAGES] + [self._ready(stages / READY)]
        flags = ["--manage-all-nodes=true", *(f"--config={config}" for config in configs)]
        program = build.ensure([KWOK])["kwok"] / "kwok"
        with (self.folder / "kwok.log").open("ab") as log:
            self.processes["kwok"] = subprocess.Popen(
                ["nice", "-n", "5", program, f"--kubeconfig={self.kubeconfig}", *flags],
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
            )

    def _ready(self, stage: Path) -> Path:
        """Write KWOK's own stage that makes a pod ready, but with the stub's address."""
        told = yaml.safe_load(stage.read_text())
        step = told["spec"]["next"]
        head, found, _ = step["statusTemplate"].partition("{{ $podIPs :=")
        if not found:
            raise LookupError(f"{stage} gives a pod its address in another way")
        at = f'"{HOSTS}"'
        step["statusTemplate"] = head + "\n".join(
            (
                f"podIP: {at}",
                f"podIPs: [{{ip: {at}}}]",
                "phase: Running",
                "startTime: {{ $now | Quote }}",
            )
        )
        path = self.folder / "pod-ready.yaml"
        path.write_text(yaml.safe_dump(told))
        return path

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


def _folder() -> Path:
    """Return the folder of KWOK's own stages: what it does to nodes and pods."""
    done = subprocess.run(
        ["go", "mod", "download", "-json", KWOK.requires],
        cwd=KWOK.source,
        capture_output=True,
        check=True,
    )
    return Path(json.loads(done.stdout)["Dir"]) / "kustomize" / "stage"


@contextlib.asynccontextmanager
async def stub_hosts(plugins: Sequence[str]) -> AsyncIterator[None]:
    """Answer at the pods' address as hosts that have loaded some plugins and are confined."""
    stats = {
        "plugins": [{"name": name, "state": "Loaded"} for name in plugins],
        "confinement": {"holds": True, "landlockAbi": 7},
    }

    async def answer(_: web.Request) -> web.Response:
        return web.json_response(stats)

    application = web.Application()
    application.router.add_get("/stats", answer)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, HOSTS, ADMIN_PORT).start()
    try:
        yield
    finally:
        await runner.cleanup()


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
