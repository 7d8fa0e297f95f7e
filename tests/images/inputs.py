"""What decides the content of an image, as a hash that serves as its tag."""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Iterator
from pathlib import Path

from tests.bed.shell import REPOSITORY

TARGETS = ("operator", "host")
DOCKERFILE = REPOSITORY / "Dockerfile"
PACKAGE = REPOSITORY / "operator" / "pluginsandbox"
LEFT_OUT = {"operator": "host", "host": "controller"}
"""The folder of the other image's code, which the Dockerfile removes."""


def fingerprint(target: str, base: str) -> str:
    """Twelve hexadecimal digits over all that goes into an image.

    Args:
        target: operator or host.
        base: what tells its base apart from other bases.
    """
    digest = hashlib.sha256(f"{base}\0{platform.machine()}\0".encode())
    for path in _files(target):
        content = hashlib.sha256(path.read_bytes()).hexdigest()
        digest.update(f"{content} {path.relative_to(REPOSITORY)}\n".encode())
    return digest.hexdigest()[:12]


def _files(target: str) -> Iterator[Path]:
    yield DOCKERFILE
    yield REPOSITORY / "requirements" / f"{target}.lock"
    other = PACKAGE / LEFT_OUT[target]
    for path in sorted(PACKAGE.rglob("*")):
        if other in path.parents or "__pycache__" in path.parts or path.suffix == ".pyc":
            continue
        if path.is_file():
            yield path
