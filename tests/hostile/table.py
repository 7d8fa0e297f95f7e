"""Writes the table of attacks into docs/security.md; with --check, says whether it drifted."""

from __future__ import annotations

import argparse
import sys
from collections import Counter

from tests.bed.shell import REPOSITORY
from tests.hostile.attacks import ATTACKS
from tests.hostile.record import GROUPS

FILE = REPOSITORY / "docs" / "security.md"
BEGIN, END = "<!-- attacks: generated -->\n", "<!-- end of attacks -->\n"
TRIED = {
    "memory": "read, write or trace the host and other workers; search what was inherited",
    "files": "the system's, other plugins' and Kubernetes' files; writing anything; links",
    "network": "TCP, UDP, unix, raw, metadata address, DNS; passing descriptors",
    "processes": "signals, new processes, priorities, limits, CPU clocks, outliving a context",
    "kernel": "io_uring, bpf, namespaces, keys, mounts, foreign call tables, new code",
    "resources": "memory, payloads, stack, descriptors, log, CPU between calls, dying for ever",
    "protocol": "malformed, oversized, forged and repeated frames; lies while loading",
    "interpreter": "garbage collector, frames, SDK patches, hooks, exit handlers, crashes",
    "time": "calls, starts, exits and imports that never end, with signals off or caught",
}


def table() -> str:
    """Return the table: a row for each group, and the sum."""
    lines = ["| group | attacks | what is tried | what stops them (attacks) |", "|---|---|---|---|"]
    for group in GROUPS:
        those = [attack for attack in ATTACKS if attack.group == group]
        stops = Counter(attack.stop for attack in those).most_common()
        told = ", ".join(f"{stop} ({count})" for stop, count in stops)
        lines.append(f"| {group} | {len(those)} | {TRIED[group]} | {told} |")
    controls = sum(bool(attack.controlled) for attack in ATTACKS)
    lines.append(
        f"| **all** | **{len(ATTACKS)}** | {controls} of them are shown in the same run to succeed "
        "without the wall | |"
    )
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
    parser = argparse.ArgumentParser(prog="python -m tests.hostile.table", description=__doc__)
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
