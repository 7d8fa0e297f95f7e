"""The image that the cluster's own tests run in pods: a small server and client."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path

from tests.cluster import archive, build, images, versions
from tests.cluster.base import Cluster


def load_probe(cluster: Cluster) -> str:
    """Build the probe, bring it to the cluster and return its image's name."""
    folder = build.ensure([versions.PROBE])["probe"]
    reference = images.reference("probe", {"probe": folder})
    files = {"probe": (folder / "probe").read_bytes()}
    return _load(cluster, reference, files, ["/probe"])


def load_files(cluster: Cluster, reference: str, files: Mapping[str, bytes]) -> str:
    """Bring an image of mere files to the cluster, for image volumes, and return its name."""
    return _load(cluster, reference, files, [])


def _load(
    cluster: Cluster, reference: str, files: Mapping[str, bytes], entry_point: list[str]
) -> str:
    with tempfile.TemporaryDirectory() as scratch:
        tar = Path(scratch) / "image.tar"
        archive.write(tar, reference, files, entry_point)
        return cluster.load(tar)[0]
