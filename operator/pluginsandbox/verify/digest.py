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
    lines = sorted(
        b"%s %s\n" % (hashlib.sha256(content).hexdigest().encode(), path.encode())
        for path, content in files.items()
    )
    return PREFIX + hashlib.sha256(b"".join(lines)).hexdigest()
