"""A cluster in containers of a Docker engine, made by kind."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.cluster import archive, images
from tests.cluster.base import Part
from tests.cluster.errors import ClusterError
from tests.cluster.layout import cache_home
from tests.cluster.progress import say, stage
from tests.cluster.system import run
from tests.cluster.user import UserCluster

_NAME = "pluginsandbox"
_NODE = f"{_NAME}-control-plane"
_ON_THE_NODE = ("kubelet", "containerd")


class KindCluster:
    """The kind cluster called ``pluginsandbox``."""

    kind = "kind"

    def up(self) -> None:
        """Create it, or start its node again after Docker was restarted."""
        _require_kind()
        if _NAME in run("kind", "get", "clusters").split():
            run("docker", "start", _NODE)
            self._export()
        else:
            say("cluster: kind (the first time it downloads its node image)")
            path = self._path()
            path.parent.mkdir(parents=True, exist_ok=True)
            with stage("kind create cluster"):
                wait = ("--wait", "180s", "--kubeconfig", str(path))
                run("kind", "create", "cluster", "--name", _NAME, *wait, seconds=1200)
        say(f"ready: export KUBECONFIG={self._path()}")

    def down(self) -> None:
        """Delete it."""
        _require_kind()
        run("kind", "delete", "cluster", "--name", _NAME, "--kubeconfig", str(self._path()))
        self._path().unlink(missing_ok=True)

    def kubeconfig(self) -> Path:
        """A file of our own: the user's default kubeconfig is left alone."""
        if not self._path().exists():
            raise ClusterError("the kind cluster is not up: python -m tests.cluster up")
        return self._path()

    def load(self, archive_path: Path) -> list[str]:
        """Copy the archive's images into the node."""
        _require_kind()
        load = ("kind", "load", "image-archive", str(archive_path), "--name", _NAME)
        run(*load, seconds=900)
        return [images.canonical(name) for name in archive.references(archive_path)]

    def status(self) -> list[Part]:
        """Whether its API answers, and its node."""
        return UserCluster(self.kubeconfig(), None).status()

    def logs(self, component: str | None) -> str:
        """The kubelet's or containerd's journal, or the last lines of a pod of kube-system."""
        if component in _ON_THE_NODE:
            journal = ("journalctl", "--no-pager", "--lines=100", "--unit", component)
            return run("docker", "exec", _NODE, *journal)
        return UserCluster(self.kubeconfig(), None).logs(component)

    def _export(self) -> None:
        path = ("--kubeconfig", str(self._path()))
        run("kind", "export", "kubeconfig", "--name", _NAME, *path)

    def _path(self) -> Path:
        return cache_home() / "kind.kubeconfig"


def _require_kind() -> None:
    if shutil.which("kind") is None:
        raise ClusterError("kind is not installed (https://kind.sigs.k8s.io)")
