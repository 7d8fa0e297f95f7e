"""Brings up the whole platform once: cluster, images, and what talks to them."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.bed import shell
from tests.bed.kubectl import Kubectl
from tests.cluster import tools
from tests.cluster.choice import choose

NAMESPACE = "pluginsandbox-system"
RELEASE = "pluginsandbox"
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

    def helm_run(self, *words: str | Path, stdin: str = "", timeout: float = 300) -> str:
        """Run helm against the cluster and return what it printed."""
        base = (self.helm, "--kubeconfig", self.kubectl.kubeconfig)
        return shell.run(*base, *words, stdin=stdin, timeout=timeout).stdout

    def install(
        self, values: Mapping[str, Any] | None = None, *, namespace: str = NAMESPACE
    ) -> str:
        """Install or upgrade the operator from the chart and wait until it is ready."""
        images = {
            "image": {"repository": self.operator.repository, "tag": self.operator.tag},
            "hostImage": {"repository": self.host.repository, "tag": self.host.tag},
        }
        return self.helm_run(
            *("upgrade", "--install", RELEASE, CHART, "--namespace", namespace),
            *("--create-namespace", "--wait", "--timeout", "120s", "--values", "-"),
            stdin=json.dumps({**images, **(values or {})}),
        )

    def uninstall(self) -> None:
        """Uninstall the operator; the kind stays, as the chart promises."""
        uninstall(self.kubectl)


def uninstall(kubectl: Kubectl) -> None:
    """Uninstall the operator if it is there, and wait until its pods are gone."""
    target = ("--namespace", NAMESPACE, "--ignore-not-found", "--wait", "--cascade", "foreground")
    helm = (tools.find("helm"), "--kubeconfig", kubectl.kubeconfig)
    shell.run(*helm, "uninstall", RELEASE, *target)


def connect() -> Kubectl:
    """Start the cluster, or check that it runs, and return a client for it."""
    choose().up()
    return client()


def client() -> Kubectl:
    """Return a client for the cluster that is up."""
    return Kubectl(tools.find("kubectl"), choose().kubeconfig())


def prepare() -> Platform:
    """Start the cluster, build the images, load them."""
    kubectl = connect()
    operator, host = (_image(name) for name in ("operator", "host"))
    return Platform(kubectl, tools.find("helm"), operator, host)


def _image(target: str) -> Image:
    named = os.environ.get(f"PLUGINSANDBOX_{target.upper()}_IMAGE")
    if named:
        return Image(named, None, 0)
    printed = shell.module("tests.images", "build", "--target", target)
    _, archive, _, size = printed.splitlines()[-1].split()
    (reference,) = choose().load(Path(archive))
    return Image(reference, Path(archive), int(size))
