"""What the samples in manifests/ promise."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from hello import Hello
from plugins import render_samples
from pluginsandbox.api import documents
from pluginsandbox.sdk.context import Identity
from pluginsandbox.sdk.testing import harness

REPOSITORY = Path(__file__).resolve().parents[3]
SHOP = REPOSITORY / "manifests" / "samples" / "shop.yaml"
HELLO = REPOSITORY / "manifests" / "samples" / "hello.yaml"
LOAD = """
import sys
from pluginsandbox.sdk.loading import Identity, load
plugin = load(sys.argv[1], sys.argv[2], Identity("n", "s", "p"), {}, {})
print(*(each.name for each in plugin.functions))
"""


def test_samples_are_what_the_generator_writes() -> None:
    for path, text in render_samples.samples().items():
        assert path.read_text() == text, "run: make generate"


@pytest.mark.parametrize("path", [SHOP, HELLO], ids=lambda path: path.stem)
def test_a_sample_holds_the_plugins_files_as_they_are(path: Path) -> None:
    found = documents.load(path)
    sandbox = found.sandbox()
    for plugin in sandbox.spec.plugins:
        files = found.files(sandbox, plugin)
        root = REPOSITORY / "plugins" / plugin.name
        shipped = {file.name: file.read_bytes() for file in root.iterdir() if file.is_file()}
        assert dict(files) == shipped


@pytest.mark.parametrize("path", [SHOP, HELLO], ids=lambda path: path.stem)
def test_every_plugin_of_a_sample_loads_from_its_files_alone(path: Path, tmp_path: Path) -> None:
    """In a process of its own, as in a worker."""
    found = documents.load(path)
    sandbox = found.sandbox()
    for plugin in sandbox.spec.plugins:
        root = tmp_path / plugin.name
        root.mkdir()
        for name, content in found.files(sandbox, plugin).items():
            (root / name).write_bytes(content)
        words = [sys.executable, "-c", LOAD, plugin.entry_point, str(root)]
        done = subprocess.run(words, capture_output=True, text=True, check=True, timeout=60)
        assert done.stdout.split()


def test_the_shop_shows_both_isolations_and_its_plugins_have_different_keys() -> None:
    plugins = documents.load(SHOP).sandbox().spec.plugins
    assert {plugin.isolation for plugin in plugins} == {"PerPlugin", "PerContext"}
    assert len({Identity("shop", "shop", plugin.name).key for plugin in plugins}) == 3


def test_hello_counts() -> None:
    with harness(Hello).context("me") as me:
        me.call("greet")
        assert me.call("greet", name="Ada") == "Hello, Ada! Greeting 2 of context me."
