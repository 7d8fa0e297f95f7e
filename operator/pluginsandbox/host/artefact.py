"""A plugin's files as the host finds them in a mounted directory, and their digest."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

from pluginsandbox.host.runtime import PrepareError
from pluginsandbox.verify import digest

MAX_FILES = 20_000
MAX_DEPTH = 32
_CACHE = "__pycache__"


def find(root: str) -> dict[str, Path]:
    """Return the files of a plugin.

    The kubelet's own entries of a ConfigMap volume (`..data`, dated directories) are left out; what
    links into them is followed.

    Args:
        root: Directory that holds them.

    Returns:
        Path relative to `root`, with `/`, to the file.

    Raises:
        PrepareError: ImportFailed: there is none, or there are too many, or one is no plain file
            or lies elsewhere.

    """
    # The worker may read what the root leads to, and an image's link leads where its author likes.
    if os.path.realpath(root) != os.path.abspath(root):  # noqa: PTH100
        raise PrepareError(
            "ImportFailed",
            "the path to the plugin's files leads through a symbolic link: name the directory "
            "itself (source.image.path)",
        )
    files: dict[str, Path] = {}
    for name, entry in _walk(root, Path(root).absolute(), "", MAX_DEPTH):
        if len(files) >= MAX_FILES:
            raise PrepareError("ImportFailed", f"the plugin has more than {MAX_FILES} files")
        if not entry.is_file():
            raise _stray(name)
        files[name] = Path(entry.path)
    if not files:
        raise PrepareError(
            "ImportFailed", "the plugin's directory is empty or not there: check its source"
        )
    return files


def _walk(
    directory: str, home: Path, prefix: str, depth: int
) -> Iterator[tuple[str, os.DirEntry[str]]]:
    try:
        entries = sorted(os.scandir(directory), key=lambda entry: entry.name)
    except FileNotFoundError:
        return
    except OSError as error:
        message = f"the plugin's directory cannot be read: {error.strerror}"
        raise PrepareError("ImportFailed", message) from error
    for entry in entries:
        name = prefix + entry.name
        if name.startswith(".."):
            continue
        if entry.is_symlink() and not Path(entry.path).resolve().is_relative_to(home):
            raise _stray(name)
        if entry.is_dir() and depth:
            yield from _walk(entry.path, home, f"{name}/", depth - 1)
        else:
            yield name, entry


def _stray(name: str) -> PrepareError:
    return PrepareError(
        "ImportFailed",
        f"{name} is not a plain file below the plugin's directory: replace it by one",
    )


def verify(files: dict[str, Path], expected: str) -> None:
    """Compare the digest of a plugin's files.

    Args:
        files: What `find` returned.
        expected: `sha256:<hex>`, see `verify.digest`.

    Raises:
        PrepareError: DigestMismatch, with both digests.

    """
    try:
        found = digest.digest_of({name: _sha256(path) for name, path in files.items()})
    except OSError as error:
        raise PrepareError("ImportFailed", f"a file cannot be read: {error.strerror}") from error
    if found == expected:
        return
    hint = ""
    if any(_CACHE in name.split("/") for name in files):
        hint = f"; the directory holds {_CACHE}, which counts too: remove it if it is not meant"
    raise PrepareError(
        "DigestMismatch",
        f"the files have {found}, but digest says {expected}: set digest to what was reviewed, or "
        f"restore the files{hint}",
    )


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
