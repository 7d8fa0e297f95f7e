"""Makes an image archive from a few files: no base, no registry, no builder."""

from __future__ import annotations

import hashlib
import io
import json
import platform
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.cluster.errors import ClusterError

_DOCKER, _OCI = "manifest.json", "index.json"
_REFERENCE = "org.opencontainers.image.ref.name"
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


def write(
    target: Path, reference: str, files: Mapping[str, bytes], entry_point: Sequence[str] = ()
) -> None:
    """Write a docker-archive with one layer.

    The same input gives the same bytes, and so the same image id.

    Args:
        target: the tar file.
        reference: name and tag of the image.
        files: path in the image to content; all are readable and executable by everyone.
        entry_point: what its container runs, as user 65532; none for an image of mere data.
    """
    layer = _tar(files)
    config = {
        "architecture": _ARCHITECTURES.get(platform.machine(), platform.machine()),
        "os": "linux",
        "config": {"User": "65532:65532", "Entrypoint": list(entry_point)},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(layer).hexdigest()}"]},
    }
    described = json.dumps(config).encode()
    name = f"{hashlib.sha256(described).hexdigest()}.json"
    manifest = [{"Config": name, "RepoTags": [reference], "Layers": ["layer.tar"]}]
    content = {"layer.tar": layer, name: described, "manifest.json": json.dumps(manifest).encode()}
    target.write_bytes(_tar(content))


def references(archive: Path) -> list[str]:
    """The names of the images in a docker-archive or in an OCI archive.

    Raises:
        ClusterError: it is neither.
    """
    with _open(archive) as tar:
        if _is_docker(tar):
            return [tag for image in _json(tar, _DOCKER) for tag in image["RepoTags"] or ()]
        annotations = (entry.get("annotations", {}) for entry in _json(tar, _OCI)["manifests"])
        return [each[_REFERENCE] for each in annotations if _REFERENCE in each]


def transport(archive: Path) -> str:
    """What skopeo calls this kind of archive.

    Raises:
        ClusterError: it is no image archive.
    """
    with _open(archive) as tar:
        return "docker-archive" if _is_docker(tar) else "oci-archive"


@contextmanager
def _open(archive: Path) -> Iterator[tarfile.TarFile]:
    try:
        with tarfile.open(archive) as tar:
            yield tar
    except (OSError, tarfile.TarError, KeyError) as error:
        raise ClusterError(f"{archive} is no docker-archive and no OCI archive: {error}") from error


def _is_docker(tar: tarfile.TarFile) -> bool:
    return _DOCKER in tar.getnames()


def _json(tar: tarfile.TarFile, name: str) -> Any:
    member = tar.extractfile(name)
    if member is None:
        raise KeyError(name)
    return json.load(member)


def _tar(files: Mapping[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        folders = sorted({str(parent) for name in files for parent in Path(name).parents} - {"."})
        for folder in folders:
            entry = tarfile.TarInfo(folder)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o755
            tar.addfile(entry)
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), 0o755
            tar.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()
