"""Writes the table of tries into docs/security.md; with --check, says whether it drifted."""

from __future__ import annotations

import argparse
import sys
from collections import Counter

from tests.bed.shell import REPOSITORY
from tests.deputy.record import REFUSING
from tests.deputy.tries import GROUPS, TRIES

FILE = REPOSITORY / "docs" / "security.md"
BEGIN, END = "<!-- tries: generated -->\n", "<!-- end of tries -->\n"


def table() -> str:
    """Return the table: a row for each group, and the sum."""
    lines = ["| what is tried to reach | tries | what stops them (tries) |", "|---|---|---|"]
    for group, tries in GROUPS.items():
        stops = Counter(each.stop for each in tries).most_common()
        told = ", ".join(f"{stop} ({count})" for stop, count in stops)
        lines.append(f"| {group} | {len(tries)} | {told} |")
    refused = sum(each.stop in REFUSING for each in TRIES)
    harmless = len(TRIES) - refused
    lines.append(f"| **all** | **{len(TRIES)}** | {refused} refused, {harmless} harmless |")
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
    parser = argparse.ArgumentParser(prog="python -m tests.deputy.table", description=__doc__)
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
