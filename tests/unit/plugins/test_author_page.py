"""docs/plugin-author.md keeps its word: its files are taken from the page and its tests run."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shlex
import socket
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from pluginsandbox.api.sandbox import PluginSandbox
from pluginsandbox.verify.digest import tree_digest

REPOSITORY = Path(__file__).resolve().parents[3]
PAGE = (REPOSITORY / "docs" / "plugin-author.md").read_text()
NAMED = re.compile(r"^```(?:python|yaml)\n# (\S+)\n(.*?)^```", re.MULTILINE | re.DOTALL)
DATA = re.compile(r"^`(\S+)`:\n\n```json\n(.*?)^```", re.MULTILINE | re.DOTALL)
CONSOLE = re.compile(r"^```console\n(.*?)^```", re.MULTILINE | re.DOTALL)


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """The files that the page shows."""
    blocks = dict(NAMED.findall(PAGE) + DATA.findall(PAGE))
    assert set(blocks) == {"cart.py", "prices.json", "test_cart.py", "sandbox.yaml"}
    for name, text in blocks.items():
        (tmp_path / name).write_text(text)
    return tmp_path


def test_the_pages_tests_pass_as_its_author_runs_them(directory: Path) -> None:
    words = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(directory)]
    done = subprocess.run(
        words, cwd=directory, capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stdout
    assert "2 passed" in done.stdout


def test_the_pages_manifest_is_a_sandbox(directory: Path) -> None:
    document = yaml.safe_load((directory / "sandbox.yaml").read_text())
    assert PluginSandbox.model_validate(document).spec.plugins[0].name == "cart"


def test_the_pages_shell_line_computes_the_digest(directory: Path) -> None:
    line = next(text for text in CONSOLE.findall(PAGE) if text.startswith("sha256sum"))
    done = subprocess.run(
        ["bash", "-c", line], cwd=directory, capture_output=True, text=True, check=True
    )
    files = {name: (directory / name).read_bytes() for name in ("cart.py", "prices.json")}
    assert tree_digest(files) == "sha256:" + done.stdout.split()[0]


def lines(word: str) -> list[list[str]]:
    """The page's commands that begin so, as a shell would split them."""
    every = (line for text in CONSOLE.findall(PAGE) for line in text.splitlines())
    return [shlex.split(line) for line in every if line.startswith(word)]


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


@contextlib.contextmanager
def served(directory: Path) -> Iterator[dict[str, str]]:
    """Run the page's `pluginsandbox run`, but on free ports; yields what callers need."""
    scripts = sysconfig.get_path("scripts")
    environment = os.environ | {"PATH": f"{scripts}{os.pathsep}{os.environ['PATH']}"}
    port = free_port()
    (words,) = lines("pluginsandbox run")
    words += ["--port", str(port), "--admin-port", str(free_port())]
    with subprocess.Popen(
        words, cwd=directory, env=environment, text=True, stderr=subprocess.PIPE
    ) as process:
        assert process.stderr is not None
        try:
            assert "serves cart" in process.stderr.readline()
            yield environment | {"PLUGINSANDBOX_URL": f"http://127.0.0.1:{port}"}
        finally:
            process.terminate()
            process.communicate(timeout=30)


@pytest.mark.timeout(60)
def test_the_pages_plugin_runs_and_is_called_as_the_page_says(directory: Path) -> None:
    with served(directory) as environment:
        answers = [
            json.loads(
                subprocess.run(
                    words, env=environment, capture_output=True, text=True, check=True
                ).stdout
            )
            for words in lines("pluginsandbox call")
        ]
    assert answers == [{"pieces": 2, "cents": 3998}, {"pieces": 3, "cents": 4448}]
