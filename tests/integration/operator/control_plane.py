"""An API server with its controllers, for one test session alone: no node, no other operator.

The operator under test must be the only one that acts on what a test makes; on a shared cluster an
installed operator would act, too. etcd, the API server and the controllers start in seconds on
loopback from the programs that the local cluster is built from.
"""

from __future__ import annotations

import contextlib
import dataclasses
import secrets
import signal
import socket
import ssl
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from urllib.error import URLError

import yaml
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.cluster import build
from tests.cluster.errors import ClusterError

API = "kube-apiserver"
START_SECONDS = 180.0
SERVICE_RANGE = "10.111.0.0/16"
CONTROLLERS = (
    *("deployment-controller", "replicaset-controller", "garbage-collector-controller"),
    *("namespace-controller", "serviceaccount-controller", "resourcequota-controller"),
)


@dataclasses.dataclass
class ControlPlane:
    """The processes, and how to reach them.

    Args:
        folder: Of certificates, data and logs.
        controllers: Those that run.

    """

    folder: Path
    controllers: tuple[str, ...] = CONTROLLERS
    ports: dict[str, int] = dataclasses.field(default_factory=dict)
    processes: dict[str, subprocess.Popen[bytes]] = dataclasses.field(default_factory=dict)

    @property
    def kubeconfig(self) -> Path:
        """The administrator's kubeconfig."""
        return self.folder / "kubeconfig"

    @property
    def audit_log(self) -> Path:
        """Every write, one JSON object a line."""
        return self.folder / "audit.log"

    def start(self) -> None:
        """Start all and wait until the API server is ready."""
        self.ports |= {name: free_port() for name in ("etcd", "peer", API, "controllers")}
        self._write_files()
        self.spawn("etcd")
        self.spawn(API)
        self.wait_ready()
        self.spawn("kube-controller-manager")

    def stop(self) -> None:
        """End all."""
        for process in reversed(self.processes.values()):
            process.send_signal(signal.SIGKILL)  # nothing of it is kept
            process.wait()

    def kill(self, name: str) -> None:
        """Kill one of the processes."""
        self.processes[name].kill()
        self.processes[name].wait()

    def spawn(self, name: str) -> None:
        """Start one of the processes, for the first time or again; `program@place` is one more."""
        flags = self._flags(name)
        words = (f"--{key}={value}" for key, value in flags.items())
        command = ["nice", "-n", "5", str(build.program(name.partition("@")[0])), *words]
        with (self.folder / f"{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                command, stdout=log, stderr=log, stdin=subprocess.DEVNULL
            )

    def _flags(self, name: str) -> dict[str, object]:
        return {
            "etcd": self._etcd,
            API: self._api_server,
            "kube-controller-manager": self._controllers,
        }[name]()

    def wait_ready(self, name: str = API) -> None:
        """Wait until an API server says that it is ready."""
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if self.processes[name].poll() is not None:
                break
            with contextlib.suppress(URLError, OSError):
                if self._ask(name, "/readyz") == "ok":
                    return
            time.sleep(0.1)
        log = (self.folder / f"{name}.log").read_text()[-2000:]
        raise ClusterError(f"{name} is not ready: {log}")

    def _ask(self, name: str, path: str) -> str:
        context = ssl.create_default_context(cafile=str(self.folder / "pki" / "apiserver.crt"))
        headers = {"Authorization": f"Bearer {self._token}"}
        request = urllib.request.Request(self.url(name) + path, headers=headers)
        with urllib.request.urlopen(request, timeout=2, context=context) as answer:
            return str(answer.read().decode())

    def url(self, name: str = API) -> str:
        """Return the address of an API server."""
        return f"https://127.0.0.1:{self.ports[name]}"

    @property
    def _token(self) -> str:
        return (self.folder / "tokens.csv").read_text().partition(",")[0]

    def _write_files(self) -> None:
        token = secrets.token_hex(16)
        tokens = self.folder / "tokens.csv"
        tokens.touch(mode=0o600)
        tokens.write_text(f'{token},admin,admin,"system:masters"\n')
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        (self.folder / "account.key").write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.TraditionalOpenSSL,
                serialization.NoEncryption(),
            )
        )
        rules = [
            {"level": "None", "verbs": ["get", "list", "watch"]},
            {"level": "Metadata", "omitStages": ["RequestReceived"]},
        ]
        policy = {"apiVersion": "audit.k8s.io/v1", "kind": "Policy", "rules": rules}
        (self.folder / "audit.yaml").write_text(yaml.safe_dump(policy))
        self._write_kubeconfig(token)

    def _write_kubeconfig(self, token: str) -> None:
        cluster = {
            "server": self.url(),
            "certificate-authority": str(self.folder / "pki" / "apiserver.crt"),
        }
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "test",
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": "admin"}}],
            "clusters": [{"name": "test", "cluster": cluster}],
            "users": [{"name": "admin", "user": {"token": token}}],
        }
        self.kubeconfig.touch(mode=0o600)
        self.kubeconfig.write_text(yaml.safe_dump(config))

    def _etcd(self) -> dict[str, object]:
        url = f"http://127.0.0.1:{self.ports['etcd']}"
        peer = f"http://127.0.0.1:{self.ports['peer']}"
        return {
            "name": "test",
            "data-dir": self.folder / "etcd",
            "listen-client-urls": url,
            "advertise-client-urls": url,
            "listen-peer-urls": peer,
            "initial-advertise-peer-urls": peer,
            "initial-cluster": f"test={peer}",
            "unsafe-no-fsync": "true",
            "log-level": "warn",
        }

    def _api_server(self) -> dict[str, object]:
        return {
            "etcd-servers": f"http://127.0.0.1:{self.ports['etcd']}",
            "bind-address": "127.0.0.1",
            "secure-port": self.ports[API],
            "cert-dir": self.folder / "pki",
            "token-auth-file": self.folder / "tokens.csv",
            "authorization-mode": "RBAC",
            "enable-admission-plugins": "OwnerReferencesPermissionEnforcement",
            "anonymous-auth": "false",
            "service-account-issuer": "https://kubernetes.default.svc",
            "service-account-key-file": self.folder / "account.key",
            "service-account-signing-key-file": self.folder / "account.key",
            "service-cluster-ip-range": SERVICE_RANGE,
            "endpoint-reconciler-type": "none",
            "audit-policy-file": self.folder / "audit.yaml",
            "audit-log-path": self.audit_log,
            "profiling": "false",
        }

    def _controllers(self) -> dict[str, object]:
        return {
            "kubeconfig": self.kubeconfig,
            "authentication-kubeconfig": self.kubeconfig,
            "authorization-kubeconfig": self.kubeconfig,
            "bind-address": "127.0.0.1",
            "secure-port": self.ports["controllers"],
            "cert-dir": self.folder / "controllers",
            "service-account-private-key-file": self.folder / "account.key",
            "controllers": ",".join(self.controllers),
            "leader-elect": "false",
            "kube-api-qps": 300,
            "kube-api-burst": 600,
        }


@contextlib.contextmanager
def control_plane(
    folder: Path, controllers: tuple[str, ...] = CONTROLLERS
) -> Iterator[ControlPlane]:
    """Run a control plane; its processes end with the block."""
    plane = ControlPlane(folder, controllers)
    try:
        plane.start()
        yield plane
    finally:
        plane.stop()


def free_port() -> int:
    """Return a port of the loopback address that nobody uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
