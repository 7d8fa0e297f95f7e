"""Go programs of the bench, built once for each version of their sources."""

from __future__ import annotations

import functools
import hashlib
import platform
import tempfile
from pathlib import Path

from tests.bed import shell
from tests.bench.table import progress
from tests.cluster import build
from tests.cluster.layout import cache_home
from tests.cluster.versions import Module

MODULES = Path(__file__).with_name("modules")
LOAD = Module(
    name="load",
    requires="golang.org/x/net",
    version="v0.62.0",
    outputs={"load": "."},
    modules=MODULES,
)
GO_PLUGIN = Module(
    name="goplugin",
    requires="github.com/hashicorp/go-plugin",
    version="v1.8.0",
    outputs={"goplugin": "."},
    modules=MODULES,
)
SHARED_OBJECT = MODULES / "sharedobject"
HOST, PLUGIN = "host", "plugin.so"


def built(module: Module) -> Path:
    """Return the folder of a module's programs, built if need be."""
    return build.ensure([module])[module.name]


@functools.cache
def shared_object() -> Path:
    """Return a folder with a Go plugin and a host that opens it, built if need be."""
    digest = hashlib.sha256(platform.machine().encode())
    for path in sorted(path for path in SHARED_OBJECT.rglob("*") if path.is_file()):
        digest.update(f"{path.name}\0".encode() + path.read_bytes() + b"\0")
    folder = cache_home() / "bin" / f"sharedobject-{digest.hexdigest()[:10]}"
    if not folder.exists():
        progress("building the Go shared object")
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
            result = Path(scratch) / "result"
            _compile(result / HOST, ".")
            _compile(result / PLUGIN, "-buildmode=plugin", "./plugin")
            result.rename(folder)
    return folder


def _compile(output: Path, *words: str) -> None:
    # Both by one compiler with the same flags, or they refuse each other.
    command = ("go", "-C", SHARED_OBJECT, "build", "-trimpath", "-buildvcs=false")
    environment = {"CGO_ENABLED": "1", "GOFLAGS": "", "GOWORK": "off"}
    shell.run(*command, "-ldflags", "-s -w", "-o", output, *words, environment=environment)
