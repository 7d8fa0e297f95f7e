"""Argo CD: application controller, repository server and Redis as processes of this machine.

They need no pod, so they serve any API server, one without a node included. Everything listens on
the loopback address but the controller's metrics, for which Argo CD has no setting.
"""

from __future__ import annotations

import contextlib
import dataclasses
import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import yaml

from tests.bed.kubectl import Kubectl, until
from tests.cluster import build, packages, tools
from tests.cluster.errors import ClusterError
from tests.cluster.versions import ARGOCD
from tests.integration.operator.control_plane import free_port
from tests.manifests import copies

NAMESPACE = "argocd"
APPLICATIONS = "applications.argoproj.io"
REFRESH = "argocd.argoproj.io/refresh"
START_SECONDS = 120.0
KINDS = ("application", "appproject")
PROJECT = {
    "apiVersion": "argoproj.io/v1alpha1",
    "kind": "AppProject",
    "metadata": {"name": "default", "namespace": NAMESPACE},
    "spec": {
        "sourceRepos": ["*"],
        "destinations": [{"namespace": "*", "server": "*"}],
        "clusterResourceWhitelist": [{"group": "*", "kind": "*"}],
    },
}


@dataclasses.dataclass
class ArgoCD:
    """The processes, and what they need on the cluster.

    Args:
        kubectl: Of the cluster, as its administrator.
        folder: Of files and logs; empty, or made.
        poll: Seconds between two looks at Git; Argo CD's own, minutes, when None.

    """

    kubectl: Kubectl
    folder: Path
    poll: int | None = None
    ports: dict[str, int] = dataclasses.field(default_factory=dict)
    processes: dict[str, subprocess.Popen[bytes]] = dataclasses.field(default_factory=dict)

    def start(self) -> None:
        """Make Argo CD's objects, start its processes and wait until they answer."""
        programs = build.ensure([ARGOCD])["argocd"]
        packages.install(packages.missing(packages.REDIS))
        self._make_objects()
        self._make_files(programs)
        names = ("redis", "repository", "repository-metrics", "metrics")
        self.ports = {name: free_port() for name in names}
        redis = self._spawn("redis-server", shutil.which("redis-check-rdb"))
        self._wait(redis, lambda: _listens(self.ports["redis"]))
        repository = self._spawn("argocd-repo-server", programs / "argocd-repo-server")
        self._wait(repository, lambda: _listens(self.ports["repository"]))
        controller = self._spawn(
            "argocd-application-controller", programs / "argocd-application-controller"
        )
        self._wait(controller, lambda: _healthy(self.ports["metrics"]))

    def stop(self) -> None:
        """End the processes; nothing of them is kept."""
        for process in reversed(self.processes.values()):
            process.send_signal(signal.SIGKILL)
            process.wait()

    def remove(self) -> None:
        """Take Argo CD's objects off the cluster, Applications included; what those made stays."""
        for kind in KINDS:
            self.kubectl.delete("crd", f"{kind}s.argoproj.io")
        self.kubectl.delete("namespace", NAMESPACE)

    def apply(self, *applications: Mapping[str, object]) -> None:
        """Apply Applications."""
        items = {"apiVersion": "v1", "kind": "List", "items": list(applications)}
        self.kubectl.apply(json.dumps(items), "-n", NAMESPACE)

    def refresh(self, name: str, how: str = "normal") -> None:
        """Have an Application look at Git and compare now, as a webhook of the Git server does."""
        words = ("-n", NAMESPACE, APPLICATIONS, name, f"{REFRESH}={how}")
        self.kubectl("annotate", "--overwrite", *words)

    def _make_objects(self) -> None:
        manifests = build.sources(ARGOCD) / "manifests"
        files = [f"--filename={manifests / 'crds' / kind}-crd.yaml" for kind in KINDS]
        self.kubectl("apply", "--server-side", "--force-conflicts", *files)
        if not self.kubectl.find("namespace", NAMESPACE):
            self.kubectl("create", "namespace", NAMESPACE)
        self.kubectl("apply", "-n", NAMESPACE, "-k", manifests / "base" / "config")
        patch = ("patch", "configmap", "argocd-cm", "-n", NAMESPACE, "--patch-file")
        self.kubectl(*patch, copies.ARGOCD_CM)
        until("Argo CD's kinds", lambda: self.kubectl.apply(json.dumps(PROJECT)))

    def _make_files(self, programs: Path) -> None:
        for name in ("home", "tmp", "none", "bin"):
            (self.folder / name).mkdir(parents=True)
        (self.folder / "bin" / "helm").symlink_to(tools.find("helm"))
        (self.folder / "bin" / "kustomize").symlink_to(programs / "kustomize")
        config = yaml.safe_load(self.kubectl.kubeconfig.read_text())
        for each in config["contexts"]:
            each["context"]["namespace"] = NAMESPACE
        kubeconfig = self.folder / "kubeconfig"
        kubeconfig.touch(mode=0o600)
        kubeconfig.write_text(yaml.safe_dump(config))

    def _environment(self) -> dict[str, str]:
        folder = self.folder
        poll = {}
        if self.poll is not None:
            # For both: the repository server remembers for as long which commit a branch is at.
            poll["ARGOCD_RECONCILIATION_TIMEOUT"] = f"{self.poll}s"
            poll["ARGOCD_RECONCILIATION_JITTER"] = "0s"
        return {
            "PATH": f"{folder / 'bin'}:{os.environ['PATH']}",
            "HOME": str(folder / "home"),
            "TMPDIR": str(folder / "tmp"),
            "KUBECONFIG": str(folder / "kubeconfig"),
            "ARGOCD_FAKE_IN_CLUSTER": "true",
            "ARGOCD_GPG_ENABLED": "false",
            "ARGOCD_TLS_DATA_PATH": str(folder / "none"),
            "ARGOCD_SSH_DATA_PATH": str(folder / "none"),
            "ARGOCD_ASK_PASS_SOCK": str(folder / "tmp" / "askpass.sock"),
            **poll,
        }

    def _flags(self, name: str) -> list[str]:
        ports = self.ports
        redis = f"--redis=127.0.0.1:{ports['redis']}"
        local = "127.0.0.1"
        return {
            "redis-server": [
                *("--bind", local, "--port", str(ports["redis"])),
                *("--save", "", "--appendonly", "no"),
            ],
            "argocd-repo-server": [
                *(redis, "--disable-tls", f"--address={local}", f"--metrics-address={local}"),
                *(f"--port={ports['repository']}", f"--metrics-port={ports['repository-metrics']}"),
            ],
            "argocd-application-controller": [
                *(redis, "--repo-server-plaintext", f"--metrics-port={ports['metrics']}"),
                f"--repo-server={local}:{ports['repository']}",
            ],
        }[name]

    def _spawn(self, name: str, program: str | Path | None) -> str:
        with (self.folder / f"{name}.log").open("wb") as log:
            self.processes[name] = subprocess.Popen(
                [name, *self._flags(name)],
                executable=program,
                env=self._environment(),
                cwd=self.folder,
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
            )
        return name

    def _wait(self, name: str, ready: Callable[[], bool]) -> None:
        deadline = time.monotonic() + START_SECONDS
        while not ready():
            if self.processes[name].poll() is not None or time.monotonic() > deadline:
                said = (self.folder / f"{name}.log").read_text()[-2000:]
                raise ClusterError(f"{name} does not answer. Its last words:\n{said}")
            time.sleep(0.05)


@contextlib.contextmanager
def argocd(kubectl: Kubectl, folder: Path, poll: int | None = None) -> Iterator[ArgoCD]:
    """Run Argo CD against a cluster; its processes end with the block, its objects stay."""
    made = ArgoCD(kubectl, folder, poll)
    try:
        made.start()
        yield made
    finally:
        made.stop()


def _listens(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1):
            return True
    except OSError:
        return False


def _healthy(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/healthz")
        return connection.getresponse().status == http.client.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
