"""Brings up the whole platform once: cluster, images, and what talks to them."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
from pathlib import Path

from tests.bed import shell
from tests.bed.kubectl import Kubectl

NAMESPACE = "pluginsandbox-system"
RELEASE = "pluginsandbox"
IMAGES = ("operator", "host")
CHART = shell.REPOSITORY / "charts" / "pluginsandbox"


@dataclasses.dataclass(frozen=True)
class Image:
    """An image that the cluster has."""

    name: str
    archive: Path | None
    size: int
    """Bytes of its files, uncompressed; 0 when a registry holds it."""

    @property
    def repository(self) -> str:
        """All before the tag."""
        return self.name.rpartition(":")[0]

    @property
    def tag(self) -> str:
        """What comes after the last colon."""
        return self.name.rpartition(":")[2]


@dataclasses.dataclass(frozen=True)
class Platform:
    """A cluster with our images on it."""

    kubectl: Kubectl
    helm: Path
    operator: Image
    host: Image

    def helm_run(self, *words: str | Path, timeout: float = 300) -> str:
        """Run helm against the cluster and return what it printed."""
        return shell.run(
            self.helm, "--kubeconfig", self.kubectl.kubeconfig, *words, timeout=timeout
        ).stdout

    def install(self, *values: str, namespace: str = NAMESPACE, chart: Path = CHART) -> str:
        """Install or upgrade the operator from the chart and wait until it is ready."""
        images = (
            f"image.repository={self.operator.repository}",
            f"image.tag={self.operator.tag}",
            "image.pullPolicy=IfNotPresent",
            f"hostImage.repository={self.host.repository}",
            f"hostImage.tag={self.host.tag}",
            "hostImage.pullPolicy=IfNotPresent",
        )
        options = [f"--set={value}" for value in (*images, *values)]
        return self.helm_run(
            *("upgrade", "--install", RELEASE, chart, "--namespace", namespace),
            *("--create-namespace", "--wait", "--timeout", "120s", *options),
        )

    def uninstall(self, namespace: str = NAMESPACE) -> None:
        """Uninstall the operator; the kind stays, as the chart promises."""
        self.helm_run(
            "uninstall", RELEASE, "--namespace", namespace, "--ignore-not-found", "--wait"
        )


def connect() -> Kubectl:
    """Start the cluster, or check that it runs, and return a client for it."""
    shell.module("tests.cluster", "up")
    return client()


def client() -> Kubectl:
    """Return a client for the cluster that is up."""
    kubeconfig = Path(shell.module("tests.cluster", "kubeconfig").strip())
    return Kubectl(_program("kubectl"), kubeconfig)


def prepare() -> Platform:
    """Start the cluster, build the images, load them."""
    kubectl = connect()
    operator, host = (_image(line) for line in _built())
    return Platform(kubectl, _program("helm"), operator, host)


def _built() -> Sequence[str]:
    named = [os.environ.get(f"PLUGINSANDBOX_{name.upper()}_IMAGE") for name in IMAGES]
    if all(named):
        return [str(image) for image in named]
    lines = shell.module("tests.images", "build").splitlines()
    return [next(line for line in lines if line.startswith(f"{name} ")) for name in IMAGES]


def _image(line: str) -> Image:
    if " " not in line:
        return Image(line, None, 0)
    _, archive, tag, size = line.split()
    shell.module("tests.cluster", "load", archive)
    return Image(tag, Path(archive), int(size))


def _program(name: str) -> Path:
    return Path(shell.module("tests.cluster", "path", name).strip())
