from __future__ import annotations

import os
from pathlib import Path

import pytest

from pluginsandbox.host import artefact
from pluginsandbox.host.runtime import PrepareError
from pluginsandbox.verify.digest import tree_digest

FILES = {"inventory.py": b"x = 1\n", "data/stock.json": b"[]", "data/deep/more.txt": b""}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "plugin"
    for name, content in FILES.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)
    return root


def test_all_files_are_found_below_the_root(root: Path) -> None:
    assert artefact.find(str(root)) == {name: root / name for name in FILES}


def test_the_right_digest_passes(root: Path) -> None:
    artefact.verify(artefact.find(str(root)), tree_digest(FILES))


def test_a_wrong_digest_tells_both(root: Path) -> None:
    wrong = "sha256:" + "0" * 64
    with pytest.raises(PrepareError) as raised:
        artefact.verify(artefact.find(str(root)), wrong)
    assert raised.value.reason == "DigestMismatch"
    assert wrong in str(raised.value)
    assert tree_digest(FILES) in str(raised.value)
    assert str(root) not in str(raised.value)


def test_compiled_files_count_and_the_message_says_so(root: Path) -> None:
    (root / "__pycache__").mkdir()
    (root / "__pycache__" / "inventory.cpython-311.pyc").write_bytes(b"other code")
    with pytest.raises(PrepareError, match="__pycache__, which counts too"):
        artefact.verify(artefact.find(str(root)), tree_digest(FILES))


def test_a_config_map_volume_is_its_keys(tmp_path: Path) -> None:
    """The kubelet writes a dated directory, links ..data to it, and each key to ..data."""
    dated = tmp_path / "..2026_11_23_22_10_00.123"
    dated.mkdir()
    (dated / "inventory.py").write_bytes(b"x = 1\n")
    (tmp_path / "..data").symlink_to(dated.name)
    (tmp_path / "inventory.py").symlink_to("..data/inventory.py")
    found = artefact.find(str(tmp_path))
    assert list(found) == ["inventory.py"]
    artefact.verify(found, tree_digest({"inventory.py": b"x = 1\n"}))


def test_a_link_to_elsewhere_is_refused(root: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere.py").write_bytes(b"")
    (root / "data" / "more.py").symlink_to(tmp_path / "elsewhere.py")
    with pytest.raises(PrepareError, match=r"data/more\.py is not a plain file below"):
        artefact.find(str(root))


def test_a_linked_directory_elsewhere_is_refused(root: Path) -> None:
    (root / "host").symlink_to("/usr")
    with pytest.raises(PrepareError, match="host is not a plain file below"):
        artefact.find(str(root))


@pytest.mark.parametrize("leads", ["..", "/", "../elsewhere"])
def test_a_path_that_is_a_link_is_refused_wherever_it_leads(root: Path, leads: str) -> None:
    """An image's link would be followed in the pod, to other plugins' files."""
    (root / "plugin").symlink_to(leads)
    for path in (root / "plugin", root / "plugin" / "data"):
        with pytest.raises(PrepareError, match=r"symbolic link.*source\.image\.path"):
            artefact.find(str(path))


def test_a_circle_of_links_ends(root: Path) -> None:
    (root / "data" / "again").symlink_to(root)
    with pytest.raises(PrepareError, match="is not a plain file"):
        artefact.find(str(root))


def test_a_pipe_is_no_file(root: Path) -> None:
    os.mkfifo(root / "pipe")
    with pytest.raises(PrepareError, match="pipe is not a plain file"):
        artefact.find(str(root))


@pytest.mark.parametrize("made", [True, False])
def test_no_files_are_an_error_that_names_the_source(tmp_path: Path, *, made: bool) -> None:
    root = tmp_path / "plugin"
    if made:
        root.mkdir()
    with pytest.raises(PrepareError, match="empty or not there: check its source"):
        artefact.find(str(root))


def test_too_many_files_are_an_error(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(artefact, "MAX_FILES", 2)
    with pytest.raises(PrepareError, match="more than 2 files"):
        artefact.find(str(root))
