"""Writes the table of tries into docs/security.md; with --check, says whether it drifted."""

from __future__ import annotations

import sys
from collections import Counter

from tests.bed import page
from tests.deputy.record import REFUSING
from tests.deputy.tries import GROUPS, TRIES


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


if __name__ == "__main__":
    sys.exit(page.keep("security.md", "tries", table(), __doc__))
