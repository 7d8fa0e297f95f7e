"""The archives of built images in the cache folder: one file for each content, the oldest go."""

from __future__ import annotations

import fcntl
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.cluster.layout import cache_home
from tests.cluster.progress import say

KEPT = 3
"""Archives kept for each image: what is new, what an upgrade test came from, and one to spare."""


def folder() -> Path:
    """Where archives, logs and the builder's storage are."""
    path = cache_home() / "images"
    path.mkdir(parents=True, exist_ok=True)
    return path


@dataclass(frozen=True)
class Built:
    """One image that is in the cache, or will be.

    Args:
        target: operator or host.
        fingerprint: of its content.
    """

    target: str
    fingerprint: str

    @property
    def archive(self) -> Path:
        """Its docker-archive."""
        return folder() / f"{self.target}-{self.fingerprint}.tar"

    @property
    def tag(self) -> str:
        """Its name and tag."""
        return f"pluginsandbox/{self.target}:{self.fingerprint}"

    @property
    def size(self) -> int:
        """Bytes of all its files, uncompressed."""
        with tarfile.open(self.archive) as outer:
            layers = [entry for entry in outer if entry.name.endswith(".tar") and entry.isfile()]
            return sum(_content(outer, layer) for layer in layers)


def _content(outer: tarfile.TarFile, layer: tarfile.TarInfo) -> int:
    with tarfile.open(fileobj=outer.extractfile(layer)) as inner:
        return sum(entry.size for entry in inner if entry.isfile())


def prune(target: str) -> None:
    """Remove all but the newest archives of an image."""
    archives = sorted(folder().glob(f"{target}-*.tar"), key=lambda path: path.stat().st_mtime)
    for path in archives[:-KEPT]:
        path.unlink()


@contextmanager
def one_at_a_time() -> Iterator[None]:
    """Hold the lock that keeps two builds from doing the same work."""
    with (folder() / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("another build of images is running; waiting for it")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield
