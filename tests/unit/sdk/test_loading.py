"""Wrong plugins, each with the words its author reads."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pluginsandbox.sdk.errors import LoadError
from pluginsandbox.sdk.loading import LoadedPlugin, load
from pluginsandbox.sdk.testing import IDENTITY

NUMBERS = itertools.count()
GOOD = """
from pathlib import Path
from pluginsandbox.sdk import Plugin, function

class Good(Plugin):
    @function
    def data(self) -> str:
        return Path(__file__).with_name("data.txt").read_text()

class Other(Good):
    pass

class Plain:
    pass

number = 3
"""


@pytest.fixture(autouse=True)
def interpreter() -> Iterator[None]:
    """Put back what loading changes in the interpreter."""
    path, modules, flag = list(sys.path), set(sys.modules), sys.dont_write_bytecode
    yield
    sys.path[:], sys.dont_write_bytecode = path, flag
    for name in set(sys.modules) - modules:
        del sys.modules[name]


@pytest.fixture
def attempt(tmp_path: Path) -> Callable[..., LoadedPlugin]:
    """Write a module and load `module:Good` of it."""

    def make(source: str, entry_point: str = "", **files: str) -> LoadedPlugin:
        name = f"plugin_{next(NUMBERS)}"
        (tmp_path / f"{name}.py").write_text(source)
        for file, text in files.items():
            (tmp_path / file.replace("__", ".")).write_text(text)
        entry = (entry_point or "{name}:Good").format(name=name)
        return load(entry, str(tmp_path), IDENTITY, {}, {})

    return make


Attempt = Callable[..., LoadedPlugin]


def refused(attempt: Attempt, root: Path, *arguments: Any, **files: str) -> tuple[str, str]:
    with pytest.raises(LoadError) as caught:
        attempt(*arguments, **files)
    assert str(root) not in caught.value.message
    return caught.value.reason, caught.value.message


def test_a_plugin_reads_the_files_it_ships(attempt: Attempt, tmp_path: Path) -> None:
    plugin = attempt(GOOD, data__txt="shipped")
    assert plugin.bind("c", "", 1).call(0, 0, b"{}", 0, "") == (0, b'"shipped"')
    assert not list(tmp_path.rglob("__pycache__"))


def test_files_of_a_mounted_configmap_are_found_beside_the_module(tmp_path: Path) -> None:
    """The kubelet mounts symbolic links to a hidden, dated directory."""
    name = f"plugin_{next(NUMBERS)}"
    real, root = tmp_path / "..2026_11_23", tmp_path
    real.mkdir()
    (real / f"{name}.py").write_text(GOOD)
    (real / "data.txt").write_text("linked")
    (root / "..data").symlink_to(real)
    for file in (f"{name}.py", "data.txt"):
        (root / file).symlink_to(Path("..data") / file)
    plugin = load(f"{name}:Good", str(root), IDENTITY, {}, {})
    assert plugin.bind("c", "", 1).call(0, 0, b"{}", 0, "") == (0, b'"linked"')


def test_packages_load_too(tmp_path: Path) -> None:
    name = f"package_{next(NUMBERS)}"
    package = tmp_path / name
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "inner.py").write_text(GOOD)
    assert load(f"{name}.inner:Good", str(tmp_path), IDENTITY, {}, {}).functions[0].name == "data"


@pytest.mark.parametrize("entry", ["", "a", "a:", ":B", "a:B.C", "a/b:C", "../a:B", "a.:B", "a:B "])
def test_a_malformed_entry_point_is_shown_the_form(tmp_path: Path, entry: str) -> None:
    with pytest.raises(LoadError, match="must be module:Class, such as inventory:InventoryCheck"):
        load(entry, str(tmp_path), IDENTITY, {}, {})


def test_a_syntax_error_is_placed(attempt: Attempt, tmp_path: Path) -> None:
    reason, message = refused(attempt, tmp_path, "x = 1\ndef broken(:\n    pass\n")
    assert reason == "ImportFailed"
    assert "py line 2: SyntaxError: " in message
    assert message.startswith("plugin_")
    assert "def broken(:" in message


def test_a_syntax_error_in_a_second_file_names_that_file(attempt: Attempt, tmp_path: Path) -> None:
    helper = f"helper_{next(NUMBERS)}"
    _, message = refused(attempt, tmp_path, f"import {helper}", **{f"{helper}__py": "\n\n  x = 1"})
    assert message.startswith(f"{helper}.py line 3: IndentationError")


def test_a_missing_module_is_named_with_the_way_out(attempt: Attempt, tmp_path: Path) -> None:
    reason, message = refused(attempt, tmp_path, "import os\nimport no_such_thing\n")
    assert reason == "ImportFailed"
    assert ".py line 2: module 'no_such_thing' is not there: ship it beside" in message


def test_an_exception_at_import_is_placed(attempt: Attempt, tmp_path: Path) -> None:
    reason, message = refused(attempt, tmp_path, "def f():\n    return {}['k']\n\nf()\n")
    assert reason == "ImportFailed"
    assert ".py line 2: KeyError: 'k'" in message


def test_a_module_that_leaves_is_an_error_like_others(attempt: Attempt, tmp_path: Path) -> None:
    reason, message = refused(attempt, tmp_path, "raise SystemExit(0)")
    assert (reason, message.partition(": ")[2]) == ("ImportFailed", "SystemExit: 0")


def test_a_path_in_an_import_error_is_made_relative(attempt: Attempt, tmp_path: Path) -> None:
    source = "from pathlib import Path\nPath(__file__).with_name('gone.json').read_text()\n"
    _, message = refused(attempt, tmp_path, source)
    assert "FileNotFoundError" in message
    assert "'gone.json'" in message


def test_a_wrong_module_name_lists_those_there_are(attempt: Attempt, tmp_path: Path) -> None:
    reason, message = refused(attempt, tmp_path, GOOD, "inventry:Good", helper__py="")
    assert reason == "EntryPointInvalid"
    assert "module 'inventry', which the plugin does not have; its modules: helper, plugin_" in (
        message
    )


def test_a_wrong_class_name_lists_those_there_are(attempt: Attempt, tmp_path: Path) -> None:
    reason, message = refused(attempt, tmp_path, GOOD, "{name}:Goood")
    assert reason == "EntryPointInvalid"
    assert message.endswith("has no class 'Goood'; its plugin classes: Good, Other")


def test_a_module_without_plugins_says_so(attempt: Attempt, tmp_path: Path) -> None:
    _, message = refused(attempt, tmp_path, "class A: ...\nclass B: ...")
    assert message.endswith("none of its classes derives from Plugin: A, B")
    _, message = refused(attempt, tmp_path, "x = 1")
    assert message.endswith("it has no classes at all")


@pytest.mark.parametrize("name", ["Plain", "number", "Plugin", "function"])
def test_the_class_must_derive_from_plugin(attempt: Attempt, tmp_path: Path, name: str) -> None:
    reason, message = refused(attempt, tmp_path, GOOD, "{name}:" + name)
    assert reason == "EntryPointInvalid"
    assert f".{name} must be a class that derives from Plugin" in message


@pytest.mark.parametrize("name", ["json", "logging", "pluginsandbox", "msgspec"])
def test_a_name_that_is_taken_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / f"{name}.py").write_text(GOOD)
    with pytest.raises(LoadError, match=f"module name '{name}' is taken"):
        load(f"{name}:Good", str(tmp_path), IDENTITY, {}, {})


def test_a_missing_root_is_no_crash(tmp_path: Path) -> None:
    with pytest.raises(LoadError, match="its modules: none"):
        load("nowhere:Good", str(tmp_path / "gone"), IDENTITY, {}, {})
