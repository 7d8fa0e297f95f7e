"""Writes the table of rights into docs/install.md; with --check, says whether it drifted."""

from __future__ import annotations

import argparse
import sys

from tests.bed.shell import REPOSITORY
from tests.rights.rights import RIGHTS

FILE = REPOSITORY / "docs" / "install.md"
BEGIN, END = "<!-- rights: generated -->\n", "<!-- end of rights -->\n"


def table() -> str:
    """Return the table: a row for each right."""
    lines = ["| right | for what | fails without it |", "|---|---|---|"]
    for right in RIGHTS:
        where = " (in its own namespace)" if right.home else ""
        lines.append(f"| {right.verb} `{right.resource}`{where} | {right.why} | {right.check} |")
    return "\n".join(lines) + "\n"


def written(text: str) -> str:
    """Return the page with the table in its place.

    Raises:
        ValueError: It has no place for one.

    """
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{FILE.name} must have the lines {BEGIN.strip()} and {END.strip()}")
    return before + BEGIN + table() + END + after


def main() -> int:
    """Write, or check; 0 for success, 1 for drift."""
    parser = argparse.ArgumentParser(prog="python -m tests.rights.table", description=__doc__)
    parser.add_argument("--check", action="store_true", help="compare only; fail on drift")
    checking = parser.parse_args().check
    found = FILE.read_text(encoding="utf-8")
    wanted = written(found)
    if checking and found != wanted:
        print(f"{FILE.relative_to(REPOSITORY)} differs from its source", file=sys.stderr)
        return 1
    if not checking:
        FILE.write_text(wanted, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
