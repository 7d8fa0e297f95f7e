"""The images of the cluster itself, each one static program, and the way of any image to the node.

Their tags carry the fingerprint of the program's build, so a new build is a new image.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path

from tests.cluster import archive
from tests.cluster.layout import Layout
from tests.cluster.system import run, succeeds

_OWN = ("pause", "coredns")


def reference(name: str, programs: Mapping[str, Path]) -> str:
    """The image name of one of our own programs."""
    return f"pluginsandbox.local/{name}:{programs[name].name.rpartition('-')[2]}"


def ensure(layout: Layout, programs: Mapping[str, Path]) -> None:
    """Import the cluster's own images unless containerd has them."""
    present = run(*_ctr(layout, programs["containerd"]), "images", "list", "--quiet").split()
    for name in _OWN:
        if (image := reference(name, programs)) in present:
            continue
        with tempfile.TemporaryDirectory() as scratch:
            tar = Path(scratch) / "image.tar"
            content = (programs[name] / name).read_bytes()
            archive.write(tar, image, {name: content}, [f"/{name}"])
            load(layout, programs["containerd"], tar)


def load(layout: Layout, folder: Path, tar: Path) -> list[str]:
    """Import an image archive into containerd, where the kubelet finds it.

    Args:
        layout: the cluster.
        folder: where ctr is.
        tar: a docker-archive or an OCI archive.

    Returns:
        The references under which pods can name the images.
    """
    names = archive.references(tar)
    run(*_ctr(layout, folder), "images", "import", "--local", str(tar), seconds=600)
    return [canonical(name) for name in names]


def canonical(name: str) -> str:
    """The full form of an image reference, which containerd stores: with registry and tag."""
    first, _, rest = name.partition("/")
    if not rest:
        name = f"docker.io/library/{name}"
    elif not (set(first) & set(".:") or first == "localhost"):
        name = f"docker.io/{name}"
    return name if ":" in name.rpartition("/")[2] else f"{name}:latest"


def ctr_succeeds(layout: Layout, folder: Path, *command: str) -> bool:
    """Whether a ctr command ends well."""
    return succeeds(*_ctr(layout, folder), *command)


def _ctr(layout: Layout, folder: Path) -> tuple[str, ...]:
    socket = str(layout.containerd_socket)
    return (str(folder / "ctr"), "--address", socket, "--namespace", "k8s.io")
