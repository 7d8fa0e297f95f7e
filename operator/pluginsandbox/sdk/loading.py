"""Imports a plugin from its directory and says plainly what is wrong when that fails."""

from __future__ import annotations

import importlib
import importlib.util
import os
import re
import sys
import traceback
import types
from collections.abc import Mapping
from pathlib import Path

from pluginsandbox.sdk.binding import Binding, LoadedPlugin
from pluginsandbox.sdk.context import Identity
from pluginsandbox.sdk.durable import DEFAULT_BYTES
from pluginsandbox.sdk.errors import LoadError
from pluginsandbox.sdk.messages import MAX_MESSAGE, describe
from pluginsandbox.sdk.plugin import Plugin

__all__ = ["Binding", "Identity", "LoadError", "LoadedPlugin", "load"]

_ENTRY_POINT = re.compile(r"([A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*):([A-Za-z_]\w*)", re.ASCII)


def load(
    entry_point: str,
    root: str,
    identity: Identity,
    config: Mapping[str, str],
    secrets: Mapping[str, str],
    durable_bytes: int = DEFAULT_BYTES,
) -> LoadedPlugin:
    """Import a plugin and describe its functions.

    Puts `root` first on `sys.path`, for the life of the process; writes no byte code there.

    Args:
        entry_point: `module:Class` below `root`; the module may be dotted.
        root: Directory of the plugin's files.
        identity: Which plugin of which sandbox it is.
        config: `plugins[].config`.
        secrets: Name of each secret to the directory it is mounted in.
        durable_bytes: Size that the durable slots of one context may have.

    Raises:
        LoadError: ImportFailed or EntryPointInvalid, with a message for the author.

    """
    match = _ENTRY_POINT.fullmatch(entry_point)
    if match is None:
        raise LoadError(
            "EntryPointInvalid",
            f"entryPoint {entry_point!r} must be module:Class, such as inventory:InventoryCheck",
        )
    root = os.path.abspath(root)  # noqa: PTH100  # symbolic links of a mounted ConfigMap stay
    module = _import(match[1], root)
    plugin_class = _plugin_class(module, match[2])
    return LoadedPlugin(plugin_class, identity, config, secrets, root, durable_bytes)


def _import(name: str, root: str) -> types.ModuleType:
    _check_name(name, root)
    sys.dont_write_bytecode = True
    if root not in sys.path:
        sys.path.insert(0, root)
    # Not importlib.invalidate_caches: since Python 3.12 it imports importlib.metadata and twenty
    # modules with it, which was most of the time of a load.
    for path in [path for path in sys.path_importer_cache if path.startswith(root)]:
        del sys.path_importer_cache[path]
    try:
        return importlib.import_module(name)
    except SyntaxError as error:
        raise LoadError("ImportFailed", _syntax(error, root)) from error
    except ModuleNotFoundError as error:
        raise _missing(name, error, root) from error
    except BaseException as error:  # whatever a module raises, sys.exit() included
        kind, message = describe(error, [root])
        raise LoadError("ImportFailed", f"{_place(error, root)}{kind}: {message}") from error


def _check_name(name: str, root: str) -> None:
    top = name.partition(".")[0]
    known = sys.modules.get(top)
    origin = getattr(known, "__file__", None) or ""
    taken = top in sys.stdlib_module_names or (
        known is not None and not origin.startswith(root + os.sep)
    )
    if taken:
        raise LoadError(
            "EntryPointInvalid",
            f"module name {top!r} is taken by a module of Python or of the sandbox: rename the "
            "file and entryPoint",
        )


def _syntax(error: SyntaxError, root: str) -> str:
    where = _relative(error.filename or "", root)
    source = (error.text or "").strip()[:100]
    told = f"{where or 'the module'} line {error.lineno}: {type(error).__name__}: {error.msg}"
    return f"{told}: {source}" if source else told


def _missing(name: str, error: ModuleNotFoundError, root: str) -> LoadError:
    missing = error.name or ""
    if missing == name or name.startswith(missing + "."):
        there = ", ".join(_modules(root)) or "none"
        return LoadError(
            "EntryPointInvalid",
            f"entryPoint names module {name!r}, which the plugin does not have; "
            f"its modules: {there}",
        )
    return LoadError(
        "ImportFailed",
        f"{_place(error, root)}module {missing!r} is not there: ship it beside the plugin's own "
        "files (with an image source it may be a whole directory), or do without it",
    )


def _place(error: BaseException, root: str) -> str:
    """Return `file line n: ` of the last frame in the plugin's own files, or nothing."""
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        where = _relative(frame.filename, root)
        if where:
            return f"{where} line {frame.lineno}: "
    return ""


def _relative(path: str, root: str) -> str:
    prefix = root.rstrip(os.sep) + os.sep
    return path.removeprefix(prefix) if path.startswith(prefix) else ""


def _modules(root: str) -> list[str]:
    entries = Path(root).iterdir() if Path(root).is_dir() else ()
    return sorted(
        entry.stem
        for entry in entries
        if entry.suffix in {".py", ".so"} or (entry / "__init__.py").is_file()
    )


def _plugin_class(module: types.ModuleType, name: str) -> type[Plugin]:
    found = vars(module).get(name)
    if found is None:
        raise LoadError("EntryPointInvalid", _no_such_class(module, name))
    if not (isinstance(found, type) and issubclass(found, Plugin)) or found is Plugin:
        raise LoadError(
            "EntryPointInvalid",
            f"{module.__name__}.{name} must be a class that derives from Plugin "
            "(from pluginsandbox.sdk import Plugin)",
        )
    return found


def _no_such_class(module: types.ModuleType, name: str) -> str:
    own = [
        value
        for value in vars(module).values()
        if isinstance(value, type) and value.__module__ == module.__name__
    ]
    plugins = [cls.__name__ for cls in own if issubclass(cls, Plugin)]
    others = [cls.__name__ for cls in own if cls.__name__ not in plugins]
    told = f"module {module.__name__} has no class {name!r}; "
    if plugins:
        told += f"its plugin classes: {', '.join(plugins)}"
    elif others:
        told += f"none of its classes derives from Plugin: {', '.join(others)}"
    else:
        told += "it has no classes at all"
    return told[:MAX_MESSAGE]
