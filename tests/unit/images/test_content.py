"""What decides an image's tag, what may go into it, and what was left out of it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.bed.shell import REPOSITORY
from tests.images import inputs, machine

IMPORT_ALL = """
import importlib, pkgutil, sys
from pluginsandbox import controller
for module in pkgutil.walk_packages(controller.__path__, "pluginsandbox.controller."):
    importlib.import_module(module.name)
print("\\n".join(sys.modules))
"""


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small repository in place of ours."""
    package = tmp_path / "operator" / "pluginsandbox"
    for folder in ("host", "controller", "__pycache__"):
        (package / folder).mkdir(parents=True)
        (package / folder / "module.py").write_text("1")
    (package / "cli.py").write_text("1")
    (tmp_path / "requirements").mkdir()
    for name in ("Dockerfile", "requirements/host.lock", "requirements/operator.lock"):
        (tmp_path / name).write_text("1")
    monkeypatch.setattr(inputs, "REPOSITORY", tmp_path)
    monkeypatch.setattr(inputs, "DOCKERFILE", tmp_path / "Dockerfile")
    monkeypatch.setattr(inputs, "PACKAGE", package)
    return tmp_path


@pytest.mark.parametrize(
    ("changed", "images"),
    [
        ("Dockerfile", {"host", "operator"}),
        ("requirements/host.lock", {"host"}),
        ("requirements/operator.lock", {"operator"}),
        ("operator/pluginsandbox/cli.py", {"host", "operator"}),
        ("operator/pluginsandbox/host/module.py", {"host"}),
        ("operator/pluginsandbox/controller/module.py", {"operator"}),
        ("operator/pluginsandbox/__pycache__/module.py", set()),
    ],
)
def test_a_change_makes_new_images_of_just_those_that_hold_it(
    tree: Path, changed: str, images: set[str]
) -> None:
    before = {target: inputs.fingerprint(target, "base") for target in inputs.TARGETS}
    (tree / changed).write_text("2")
    after = {target: inputs.fingerprint(target, "base") for target in inputs.TARGETS}
    assert {target for target in inputs.TARGETS if before[target] != after[target]} == images


def test_another_base_makes_another_image() -> None:
    assert inputs.fingerprint("host", "one") != inputs.fingerprint("host", "two")


def test_the_operator_imports_none_of_the_generated_classes_that_its_image_lacks() -> None:
    done = subprocess.run(
        [sys.executable, "-c", IMPORT_ALL], capture_output=True, text=True, check=True
    )
    generated = [
        name
        for name in done.stdout.split()
        if name.startswith(("kubernetes.client.", "kubernetes.aio.client."))
        and any(f".client.{folder}." in name for folder in ("api", "models"))
    ]
    # kopf looks for the last three only to recognise them, and does without.
    kopfs = {"v1_managed_fields_entry", "v1_object_meta", "v1_owner_reference"}
    assert {name.rpartition(".")[2] for name in generated} <= {"custom_objects_api", *kopfs}


def test_pip_settings_reach_the_builder_and_only_those_it_needs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    bundle = tmp_path / "bundle.pem"
    bundle.touch()
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_INDEX_URL", "https://user:pa%ss@mirror.example/simple")
    monkeypatch.setenv("PIP_CERT", str(bundle))
    monkeypatch.setenv("PIP_FIND_LINKS", "/somewhere/on/this/machine")
    options = machine.secrets(tmp_path)
    config = tmp_path / "pip.conf"
    assert options[1::2] == [f"id=ca.pem,src={bundle}", f"id=pip.conf,src={config}"]
    assert config.stat().st_mode & 0o077 == 0
    assert config.read_text().split() == [
        *("[global]", "index-url", "=", "https://user:pa%ss@mirror.example/simple"),
        *("cert", "=", "/run/secrets/ca.pem"),
    ]


def test_nothing_but_what_the_dockerfile_copies_reaches_a_builder() -> None:
    lines = (REPOSITORY / ".dockerignore").read_text().splitlines()
    let_in = {line[1:] for line in lines if line.startswith("!")}
    dockerfile = (REPOSITORY / "Dockerfile").read_text().splitlines()
    copied = {line.split()[1] for line in dockerfile if line.startswith("COPY ")}
    assert {path for path in copied if not path.startswith("--from")} == let_in
