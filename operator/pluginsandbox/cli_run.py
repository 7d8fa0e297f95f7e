"""`pluginsandbox run`: the same sandbox as in a cluster, by the same host, on this machine."""

from __future__ import annotations

import argparse
import contextlib
import pathlib
import sys
import tempfile
from collections.abc import Callable, Iterator

from pluginsandbox.api import documents, host_config, render
from pluginsandbox.api.documents import DocumentError, Documents, Files
from pluginsandbox.api.plugin import Plugin, PluginSecret
from pluginsandbox.api.sandbox import PluginSandbox
from pluginsandbox.host import server
from pluginsandbox.telemetry import logs

Roots = dict[str, pathlib.Path]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "file",
        type=pathlib.Path,
        help="YAML with a PluginSandbox and the ConfigMaps and Secrets that it names",
    )
    parser.add_argument("--sandbox", metavar="NAME", help="which one, when the file holds several")
    parser.add_argument(
        "--source",
        action="append",
        default=[],
        metavar="PLUGIN=DIRECTORY",
        help="take a plugin's files from a directory instead, and check no digest; repeatable",
    )
    parser.add_argument("--port", type=int, default=8080, help="door for callers (default 8080)")
    parser.add_argument(
        "--admin-port", type=int, default=9090, help="probes and metrics (default 9090)"
    )
    parser.add_argument(
        "--best-effort",
        action="store_true",
        help="serve although this kernel cannot confine plugins fully",
    )
    parser.add_argument("--log-level", default="warning", choices=logs.LEVELS)


def run(options: argparse.Namespace) -> int:
    """Serve on the loopback address until interrupted."""
    logs.configure(options.log_level)
    try:
        found = documents.load(options.file)
        sandbox = found.sandbox(options.sandbox)
        sources = directories(options.source, sandbox)
        with _laid_out(found, sandbox, sources, best_effort=options.best_effort) as config:
            return server.main(
                config,
                http=f"127.0.0.1:{options.port}",
                admin=f"127.0.0.1:{options.admin_port}",
                ready=lambda: _greet(sandbox, options.port, options.admin_port),
            )
    except DocumentError as error:
        print(f"pluginsandbox run: {error}", file=sys.stderr)
        return 1


def directories(words: list[str], sandbox: PluginSandbox) -> Roots:
    """Read `PLUGIN=DIRECTORY` words.

    Raises:
        DocumentError: A word has no `=`, its plugin is not in the sandbox, or there is no such
            directory.

    """
    names = [plugin.name for plugin in sandbox.spec.plugins]
    result: Roots = {}
    for word in words:
        name, equals, text = word.partition("=")
        # The host takes no path with a link in it, but this one is the author's own.
        directory = pathlib.Path(text).expanduser().resolve()
        if not equals or name not in names:
            raise DocumentError(
                f"--source {word!r} must be PLUGIN=DIRECTORY with one of: {', '.join(names)}"
            )
        if not directory.is_dir():
            raise DocumentError(f"--source {word!r}: there is no directory {text}")
        result[name] = directory
    return result


@contextlib.contextmanager
def _laid_out(
    found: Documents, sandbox: PluginSandbox, sources: Roots, *, best_effort: bool
) -> Iterator[pathlib.Path]:
    """Lay files out as the kubelet would, and yield the path of the host's configuration."""
    with tempfile.TemporaryDirectory(prefix="pluginsandbox-") as folder:
        top = pathlib.Path(folder).resolve()
        plain = _without_digests(sandbox, sources, best_effort=best_effort)
        for plugin in plain.spec.plugins:
            if plugin.name not in sources:
                _write(_plugin_folder(top)(plugin), found.files(sandbox, plugin))
            for secret in plugin.secrets:
                place = _secret_folder(top)(plugin, secret)
                _write(place, found.secret(sandbox, plugin, secret))
        config = render.host_config(
            plain,
            plugin_root=lambda plugin: str(sources.get(plugin.name) or _plugin_folder(top)(plugin)),
            secret_root=lambda plugin, secret: str(_secret_folder(top)(plugin, secret)),
        )
        path = top / host_config.CONFIG_FILE
        path.write_bytes(host_config.encode(config))
        yield path


def _without_digests(sandbox: PluginSandbox, sources: Roots, *, best_effort: bool) -> PluginSandbox:
    """Return the sandbox as it is to run here: an edited directory has no digest to match."""
    plugins = [
        plugin.model_copy(update={"digest": None}) if plugin.name in sources else plugin
        for plugin in sandbox.spec.plugins
    ]
    host = sandbox.spec.host
    if best_effort:
        host = host.model_copy(update={"confinement": "BestEffort"})
    spec = sandbox.spec.model_copy(update={"plugins": plugins, "host": host})
    return sandbox.model_copy(update={"spec": spec})


def _plugin_folder(top: pathlib.Path) -> Callable[[Plugin], pathlib.Path]:
    return lambda plugin: top / "plugins" / plugin.name


def _secret_folder(top: pathlib.Path) -> Callable[[Plugin, PluginSecret], pathlib.Path]:
    return lambda plugin, secret: top / "secrets" / plugin.name / secret.name


def _write(folder: pathlib.Path, files: Files) -> None:
    folder.mkdir(parents=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)


def _greet(sandbox: PluginSandbox, port: int, admin_port: int) -> None:
    names = ", ".join(plugin.name for plugin in sandbox.spec.plugins)
    print(
        f"{sandbox.metadata.name} serves {names} on http://127.0.0.1:{port}\n"
        f"schema: http://127.0.0.1:{port}/openapi.json   "
        f"metrics: http://127.0.0.1:{admin_port}/metrics   stop: Ctrl-C",
        file=sys.stderr,
        flush=True,
    )
