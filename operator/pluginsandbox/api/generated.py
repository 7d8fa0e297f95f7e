"""The command line that the generators share: write a file, or with --check compare it."""

from __future__ import annotations

import argparse
import difflib
import sys
from collections.abc import Sequence
from pathlib import Path


def main(module: str, path: Path, text: str, words: Sequence[str] | None = None) -> int:
    """Write `text` to `path`, or with --check print how the file there differs.

    Args:
        module: Name of the generator, for its usage line.
        path: Where the file belongs, relative to the repository's root.
        text: What it should hold.
        words: The command line's; those of this process unless given.

    Returns:
        0, or 1 if --check found a difference.

    """
    parser = argparse.ArgumentParser(prog=f"python -m {module}")
    parser.add_argument("--check", action="store_true", help="compare only; fail on drift")
    parser.add_argument("path", nargs="?", type=Path, default=path, help=f"instead of {path}")
    options = parser.parse_args(words)
    if options.check:
        return _compare(options.path, text)
    options.path.parent.mkdir(parents=True, exist_ok=True)
    options.path.write_text(text, encoding="utf-8")
    return 0


def _compare(path: Path, text: str) -> int:
    found = path.read_text(encoding="utf-8") if path.exists() else ""
    lines = difflib.unified_diff(
        found.splitlines(keepends=True), text.splitlines(keepends=True), str(path), "generated"
    )
    difference = "".join(lines)
    sys.stderr.write(difference)
    return 1 if difference else 0
