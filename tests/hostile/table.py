"""Writes the table of attacks into docs/security.md; with --check, says whether it drifted."""

from __future__ import annotations

import sys
from collections import Counter

from tests.bed import page
from tests.hostile.attacks import ATTACKS
from tests.hostile.record import GROUPS

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


if __name__ == "__main__":
    sys.exit(page.keep("security.md", "attacks", table(), __doc__))
