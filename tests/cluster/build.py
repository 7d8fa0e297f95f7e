"""Builds the cluster's programs from Go modules, once for each version.

A result lies in the cache under its module's name, version and a hash of everything that went into
it, so nothing is ever built twice and an interrupted build goes on where Go's own cache ends.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import platform
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.cluster.errors import ClusterError
from tests.cluster.layout import cache_home
from tests.cluster.progress import Progress, say
from tests.cluster.versions import ALL, Module

_UNFINISHED = ".building-"


def fingerprint(module: Module, source: Path) -> str:
    """Ten hexadecimal digits over all that decides what a build of `module` gives.

    Args:
        module: what is built.
        source: the folder with its go.mod.
    """
    digest = hashlib.sha256()
    for path in sorted(source.iterdir()):
        digest.update(f"{path.name}\0".encode() + path.read_bytes() + b"\0")
    digest.update(repr((module.outputs, module.variables, module.tags)).encode())
    digest.update(platform.machine().encode())
    return digest.hexdigest()[:10]


def destination(module: Module) -> Path:
    """The cache folder where the programs of `module` are, or will be."""
    parts = (module.name, module.version, fingerprint(module, module.source))
    return cache_home() / "bin" / "-".join(part for part in parts if part)


def program(name: str) -> Path:
    """The path of one program of the cluster, built if need be.

    Raises:
        ClusterError: no module gives such a program, or its build failed.
    """
    for module in ALL:
        if name in module.outputs or name in module.links:
            return ensure([module])[module.name] / name
    known = sorted(name for module in ALL for name in (*module.outputs, *module.links))
    raise ClusterError(f"no program {name!r}; there are: {', '.join(known)}")


def ensure(modules: Sequence[Module]) -> dict[str, Path]:
    """The folders of the programs of `modules`, building those that are missing.

    Raises:
        ClusterError: Go is missing, or a build failed; carries the compiler's words.
    """
    folders = {module.name: destination(module) for module in modules}
    if all(folder.exists() for folder in folders.values()):
        return folders
    with _one_at_a_time():
        missing = [module for module in modules if not folders[module.name].exists()]
        for number, module in enumerate(missing, start=1):
            _build(module, folders[module.name], f"[{number}/{len(missing)}]")
    return folders


def sources(module: Module) -> Path:
    """The folder of the files that a module is published with: its manifests are there, too.

    Raises:
        ClusterError: they could not be fetched.
    """
    command = ["go", "mod", "download", "-json", module.requires]
    done = subprocess.run(
        command, cwd=module.source, env=_environment(), capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise ClusterError(f"fetching the sources of {module.name} failed:\n{done.stdout}")
    return Path(json.loads(done.stdout)["Dir"])


@contextmanager
def _one_at_a_time() -> Iterator[None]:
    folder = cache_home() / "bin"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("another build is running; waiting for it")
            fcntl.flock(lock, fcntl.LOCK_EX)
        for killed in folder.glob(f"{_UNFINISHED}*"):
            shutil.rmtree(killed)
        yield


def _build(module: Module, target: Path, place: str) -> None:
    if shutil.which("go") is None:
        raise ClusterError(
            "building the local cluster needs Go 1.26 or newer (https://go.dev/dl). "
            "Or name a cluster that you have: PLUGINSANDBOX_KUBECONFIG=<file>"
        )
    source = module.source
    check_version(module, source)
    began = time.monotonic()
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=_UNFINISHED) as scratch:
        folder = Path(scratch) / "result"
        folder.mkdir()
        for name, package in module.outputs.items():
            title = " ".join(part for part in (place, name, module.version) if part)
            with Progress(title) as progress:
                progress.total = _count_packages(module, source, package)
                progress.phase = "compiling"
                _compile(module, source, package, folder / name, progress)
        for link, name in module.links.items():
            (folder / link).symlink_to(name)
        folder.rename(target)
    say(f"{place} {module.name} built in {time.monotonic() - began:.0f} s")


def check_version(module: Module, source: Path) -> None:
    """Refuse a module whose go.mod names another version than `versions`."""
    named = f"{module.requires} {module.version}".strip()
    if named not in (source / "go.mod").read_text():
        raise ClusterError(
            f"{source / 'go.mod'} does not require {named}: "
            f"run 'go get {module.requires}@{module.version} && go mod tidy' there"
        )


def _environment() -> dict[str, str]:
    return {**os.environ, "CGO_ENABLED": "0", "GOFLAGS": "", "GOWORK": "off"}


def _count_packages(module: Module, source: Path, package: str) -> int:
    """How many packages a build takes; fetches their sources on the way."""
    command = ["go", "list", "-deps", "-tags", ",".join(module.tags), package]
    done = subprocess.run(
        command, cwd=source, env=_environment(), capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise ClusterError(f"fetching the sources of {module.name} failed:\n{done.stderr.strip()}")
    return len(done.stdout.splitlines())


def _compile(module: Module, source: Path, package: str, output: Path, progress: Progress) -> None:
    linker = " ".join(["-s -w", *(f"-X {key}={value}" for key, value in module.variables.items())])
    command = ["nice", "-n", "10", "go", "build", "-v", "-trimpath", "-buildvcs=false"]
    command += ["-mod=readonly", "-tags", ",".join(module.tags), "-ldflags", linker]
    said: list[str] = []
    with subprocess.Popen(
        [*command, "-o", output, package],
        cwd=source,
        env=_environment(),
        stderr=subprocess.PIPE,
        text=True,
    ) as running:
        for line in running.stderr or ():
            said.append(line)
            progress.done += 1
    if running.returncode != 0:
        raise ClusterError(f"building {module.name} failed:\n{''.join(said[-30:]).strip()}")
