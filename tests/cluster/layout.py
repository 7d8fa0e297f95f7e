"""Where the local cluster keeps its files, and the addresses that it uses.

There is one local cluster on a machine: its addresses are fixed, so its folders are too.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

POD_RANGE = IPv4Network("10.244.0.0/16")
SERVICE_RANGE = IPv4Network("10.96.0.0/16")
NODE_ADDRESS = IPv4Address("10.244.0.1")
API_SERVICE_ADDRESS = IPv4Address("10.96.0.1")
DNS_ADDRESS = IPv4Address("10.96.0.10")
DNS_DOMAIN = "cluster.local"
API_PORT = 6443
NODE_NAME = "pluginsandbox-node"
BRIDGE = "psb-pods"
SINK = "psb-sink"
CGROUP = "pluginsandbox"
API_URL = f"https://{NODE_ADDRESS}:{API_PORT}"


def cache_home() -> Path:
    """The folder of everything that is worth keeping between clusters."""
    home = os.environ.get("XDG_CACHE_HOME")
    return (Path(home) if home else Path.home() / ".cache") / "pluginsandbox"


@dataclass(frozen=True)
class Layout:
    """The folders of one local cluster.

    Args:
        state: survives a restart of the machine; removed by ``down``.
        run: sockets and mounts; gone after a restart of the machine.
    """

    state: Path = Path("/var/lib/pluginsandbox-cluster")
    run: Path = Path("/run/pluginsandbox-cluster")

    @property
    def pki(self) -> Path:
        """Certificates and keys."""
        return self.state / "pki"

    @property
    def config(self) -> Path:
        """Configuration files of the components."""
        return self.state / "config"

    @property
    def logs(self) -> Path:
        """One log file for each component."""
        return self.state / "logs"

    @property
    def pods_logs(self) -> Path:
        """The containers' own output, written by containerd."""
        return self.state / "pod-logs"

    @property
    def audit_log(self) -> Path:
        """Every write to the API server, one JSON object a line."""
        return self.logs / "audit.log"

    @property
    def processes(self) -> Path:
        """One record for each process that we started."""
        return self.state / "processes"

    @property
    def kubeconfig(self) -> Path:
        """The administrator's kubeconfig."""
        return self.state / "admin.kubeconfig"

    @property
    def containerd_socket(self) -> Path:
        """Where containerd answers the kubelet and ctr."""
        return self.run / "containerd.sock"
