"""Writes docs/conditions.md from the reasons: `python -m pluginsandbox.api.runbook`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from pluginsandbox.api.conditions import CONDITION_MEANINGS
from pluginsandbox.api.generated import main
from pluginsandbox.api.reasons import REASONS, Explanation, Reason
from pluginsandbox.api.reference import table

FILE = Path("docs", "conditions.md")
HEADER = """\
<!-- Generated from pluginsandbox.api by `make generate`; edit the reasons instead. -->
# Conditions and their reasons

For whoever is on call: find the reason that `kubectl get psb` shows, and read on below its name.
`pluginsandbox explain NAME` says the same of one sandbox, with what it waits for.
"""


def text() -> str:
    """Return the page: the conditions, where each reason occurs, and what to do about it."""
    return "\n".join([HEADER, _conditions(), _index(), *_sections()])


def _conditions() -> str:
    rows = ((f"`{kind}`", meaning) for kind, meaning in CONDITION_MEANINGS.items())
    about = "Ready sums the others up; tools that follow kstatus read the first three.\n\n"
    return f"## Conditions\n{about}{table(('condition', 'true means'), rows)}"


def _index() -> str:
    rows = ((f"[{reason}](#{reason.lower()})", it.conditions) for reason, it in REASONS.items())
    about = "The operator uses these words and no others.\n\n"
    return f"## Reasons\n{about}{table(('reason', 'where'), rows)}"


def _sections() -> Iterator[str]:
    for reason, explanation in REASONS.items():
        yield _section(reason, explanation)


def _section(reason: Reason, it: Explanation) -> str:
    return f"""\
### {reason}
{it.meaning} ({it.conditions})

- Likely cause: {it.cause}
- What to do: {it.action}
"""


if __name__ == "__main__":
    sys.exit(main(__spec__.name, FILE, text()))
