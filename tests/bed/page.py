"""Keeps a generated table in its place on a page of docs/, for the modules that generate one."""

from __future__ import annotations

import argparse
import sys

from tests.bed.shell import REPOSITORY


def keep(page: str, name: str, table: str, what: str | None) -> int:
    """Write a table into a page; with --check on the command line, only compare.

    Args:
        page: Name of a file in docs/.
        name: Of the table, as in the lines around its place: `<!-- name: generated -->` and
            `<!-- end of name -->`.
        table: The table.
        what: What the command does, for --help.

    Returns:
        0 for success, 1 for drift.

    Raises:
        ValueError: The page has no place for it.

    """
    parser = argparse.ArgumentParser(description=what)
    parser.add_argument("--check", action="store_true", help="compare only; fail on drift")
    checking = parser.parse_args().check
    file = REPOSITORY / "docs" / page
    found = file.read_text(encoding="utf-8")
    wanted = _placed(found, name, table)
    if checking and found != wanted:
        print(f"{file.relative_to(REPOSITORY)} differs from its source", file=sys.stderr)
        return 1
    if not checking:
        file.write_text(wanted, encoding="utf-8")
    return 0


def _placed(text: str, name: str, table: str) -> str:
    first, last = f"<!-- {name}: generated -->\n", f"<!-- end of {name} -->\n"
    before, begin, rest = text.partition(first)
    _, end, after = rest.partition(last)
    if not begin or not end:
        raise ValueError(f"the page must have the lines {first.strip()} and {last.strip()}")
    return before + first + table + last + after
