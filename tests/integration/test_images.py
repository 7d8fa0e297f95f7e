"""What is in the images, and above all what is not."""

from __future__ import annotations

import dataclasses
import json
import struct
import tarfile
from typing import Any

import pytest

from tests.images import inputs
from tests.images.__main__ import build

pytestmark = pytest.mark.pods

LARGEST = {"host": 120_000_000, "operator": 150_000_000}
HEADER = struct.Struct("<4sI8s")
UNCHECKED = 0b01
"""Flag of a .pyc that is believed without a look at its source (PEP 552)."""


@dataclasses.dataclass
class Image:
    """An image, unpacked into memory as far as the tests look."""

    target: str
    size: int
    config: dict[str, Any]
    entries: dict[str, tarfile.TarInfo]
    headers: dict[str, bytes]

    @property
    def files(self) -> set[str]:
        return {name for name, entry in self.entries.items() if not entry.isdir()}

    @property
    def packages(self) -> set[str]:
        return {name.split("/")[5] for name in self.entries if "/dist-packages/" in name}


@pytest.fixture(scope="module", params=inputs.TARGETS)
def image(request: pytest.FixtureRequest) -> Image:
    """Each image as it is built here."""
    with request.config.pluginmanager.getplugin("capturemanager").global_and_fixture_disabled():
        built = build(request.param)
    entries: dict[str, tarfile.TarInfo] = {}
    headers: dict[str, bytes] = {}
    with tarfile.open(built.archive) as outer:
        (manifest,) = json.load(outer.extractfile("manifest.json") or pytest.fail("no manifest"))
        config = json.load(outer.extractfile(manifest["Config"]) or pytest.fail("no config"))
        for layer in manifest["Layers"]:
            with tarfile.open(fileobj=outer.extractfile(layer)) as inner:
                for entry in inner:
                    name = entry.name.removeprefix("./").rstrip("/")
                    entries[name] = entry
                    if name.endswith(".pyc") and (content := inner.extractfile(entry)):
                        headers[name] = content.read(HEADER.size)
    return Image(built.target, built.size, config, entries, headers)


def test_it_is_small(image: Image) -> None:
    assert image.size < LARGEST[image.target]


def test_it_runs_as_nobody_in_particular_and_starts_its_own_command(image: Image) -> None:
    config = image.config["config"]
    assert config["User"] == "65532:65532"
    assert config["Entrypoint"] == ["pluginsandbox", image.target]
    assert "PYTHONDONTWRITEBYTECODE=1" in config["Env"]


def test_there_is_nothing_to_execute_but_python(image: Image) -> None:
    programs = {
        name
        for name, entry in image.entries.items()
        if name.startswith(("usr/bin/", "usr/sbin/", "usr/local/bin/")) and entry.isfile()
    }
    python = {name for name in programs if name.startswith("usr/bin/python3.")}
    assert len(python) == 1
    assert programs - python == {"usr/local/bin/pluginsandbox"}
    assert not [name for name, entry in image.entries.items() if entry.mode & 0o6000]


def test_nobody_but_root_can_write_to_it(image: Image) -> None:
    loose = [
        name
        for name, entry in image.entries.items()
        if not entry.issym() and (entry.uid != 0 or (entry.mode & 0o002 and not entry.isdir()))
    ]
    assert loose == []


def test_each_image_carries_its_half_alone(image: Image) -> None:
    ours = {name.split("/")[6] for name in image.files if "/dist-packages/pluginsandbox/" in name}
    assert inputs.LEFT_OUT[image.target] not in ours
    operators = {"kopf", "kubernetes", "pydantic", "aiohttp", "yaml"}
    hosts = {"httptools"}
    mine, others = (hosts, operators) if image.target == "host" else (operators, hosts)
    assert mine <= image.packages
    assert not others & image.packages
    assert {"msgspec", "structlog", "prometheus_client", "uvloop"} <= image.packages
    assert not {"pip", "setuptools", "wheel"} & image.packages


def test_all_of_it_is_compiled_and_believed_without_a_look(image: Image) -> None:
    sources = {name for name in image.files if name.endswith(".py")}
    compiled = {
        f"{name.replace('__pycache__/', '').rsplit('.', 2)[0]}.py" for name in image.headers
    }
    importable = {
        name for name in sources if "/dist-packages/" in name or name.startswith("usr/lib/python3.")
    }
    assert importable - compiled == set()
    flags = {HEADER.unpack(header)[1] for header in image.headers.values()}
    assert flags == {UNCHECKED}


def test_the_standard_library_is_whole(image: Image) -> None:
    for module in ("sqlite3", "ctypes", "asyncio", "zoneinfo", "xml", "json", "email", "curses"):
        assert f"usr/lib/python3.13/{module}/__init__.py" in image.files
    assert any(name.startswith("usr/share/zoneinfo/Asia/Shanghai") for name in image.files)


def test_nothing_of_the_machine_that_built_it_is_in_it(image: Image) -> None:
    assert not {"etc/pip.conf", "run/secrets", "etc/resolv.conf", "etc/hostname"} & image.files
    assert not [name for name in image.entries if name.startswith(("run/secrets/", "root/."))]


def test_scanners_find_its_packages(image: Image) -> None:
    records = {name for name in image.files if name.startswith("var/lib/dpkg/status.d/")}
    assert {"var/lib/dpkg/status.d/libc6", "var/lib/dpkg/status.d/libssl3t64"} <= records
    assert [name for name in image.files if name.endswith("dist-info/METADATA")]
