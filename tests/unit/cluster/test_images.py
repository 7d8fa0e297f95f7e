"""Image archives made by hand, and the names of what is in an archive."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path

import pytest

from tests.cluster import archive
from tests.cluster.errors import ClusterError
from tests.cluster.images import canonical
from tests.cluster.user import UserCluster


def test_the_same_files_give_the_same_image(tmp_path: Path) -> None:
    for name in ("a", "b"):
        archive.write(tmp_path / name, "x.local/y:1", {"bin/y": b"program"}, ["/bin/y"])

    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert archive.references(tmp_path / "a") == ["x.local/y:1"]
    assert archive.transport(tmp_path / "a") == "docker-archive"


def test_a_layer_holds_the_files_and_their_folders(tmp_path: Path) -> None:
    archive.write(tmp_path / "a", "x.local/y:1", {"bin/y": b"program"})

    with (
        tarfile.open(tmp_path / "a") as outer,
        tarfile.open(fileobj=outer.extractfile("layer.tar")) as layer,
    ):
        assert [(m.name, m.isdir(), m.mode) for m in layer] == [
            ("bin", True, 0o755),
            ("bin/y", False, 0o755),
        ]


def test_an_oci_archive_names_its_images_too(tmp_path: Path) -> None:
    key = "org.opencontainers.image.ref.name"
    index = json.dumps({"manifests": [{"annotations": {key: "x.local/y:2"}}, {}]}).encode()
    with tarfile.open(tmp_path / "a", "w") as tar:
        entry = tarfile.TarInfo("index.json")
        entry.size = len(index)
        tar.addfile(entry, io.BytesIO(index))

    assert archive.references(tmp_path / "a") == ["x.local/y:2"]
    assert archive.transport(tmp_path / "a") == "oci-archive"


def test_another_tar_is_no_image(tmp_path: Path) -> None:
    (tmp_path / "empty").write_bytes(b"")
    with tarfile.open(tmp_path / "other", "w"):
        pass

    for name in ("empty", "other", "absent"):
        with pytest.raises(ClusterError, match=f"{name} is no docker-archive"):
            archive.references(tmp_path / name)


@pytest.mark.parametrize(
    ("name", "full"),
    [
        ("host", "docker.io/library/host:latest"),
        ("team/host:1", "docker.io/team/host:1"),
        ("registry.example/host", "registry.example/host:latest"),
        ("localhost/host:1", "localhost/host:1"),
        ("localhost:5000/host", "localhost:5000/host:latest"),
    ],
)
def test_a_name_is_completed_as_containerd_does(name: str, full: str) -> None:
    assert canonical(name) == full


def test_a_users_cluster_without_a_registry_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ClusterError, match="set PLUGINSANDBOX_REGISTRY"):
        UserCluster(tmp_path / "kubeconfig", None).load(tmp_path / "image.tar")
