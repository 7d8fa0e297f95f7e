"""Digest of a plugin's tree of files: what `plugins[].digest` names and the host checks.

Pure. The host reads a directory (`host.artefact`), the operator has the values of a ConfigMap; both
come here, so both mean the same by a digest.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

PREFIX = "sha256:"


def tree_digest(files: Mapping[str, bytes]) -> str:
    """Return the digest of a tree of files.

    Args:
        files: Path relative to the tree's root, with `/` between its parts, to content.

    Returns:
        `sha256:` and the hex SHA-256 over the lines `<SHA-256 of the content> <path>`, sorted,
        each ended by a newline. A shell says the same for files directly in the directory with
        `sha256sum * | sed 's/  / /' | LC_ALL=C sort | sha256sum`.

    """
    return digest_of({path: hashlib.sha256(body).hexdigest() for path, body in files.items()})


def digest_of(hashes: Mapping[str, str]) -> str:
    """Return the digest of a tree whose files were hashed one by one, as `tree_digest` does.

    Args:
        hashes: Path relative to the tree's root to the hex SHA-256 of the content.

    """
    lines = sorted(f"{content} {path}\n".encode() for path, content in hashes.items())
    return PREFIX + hashlib.sha256(b"".join(lines)).hexdigest()
