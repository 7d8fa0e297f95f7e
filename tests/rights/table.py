"""Writes the table of rights into docs/install.md; with --check, says whether it drifted."""

from __future__ import annotations

import sys

from tests.bed import page
from tests.rights.rights import RIGHTS


def table() -> str:
    """Return the table: a row for each right."""
    lines = ["| right | for what | fails without it |", "|---|---|---|"]
    for right in RIGHTS:
        where = " (in its own namespace)" if right.home else ""
        lines.append(f"| {right.verb} `{right.resource}`{where} | {right.why} | {right.check} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(page.keep("install.md", "rights", table(), __doc__))
