"""`python -m tests.bench --only calls,trip`: all sections unless some are named."""

from __future__ import annotations

import argparse
import os
import platform
import sys
import time
import traceback
from collections.abc import Sequence
from pathlib import Path

from tests.bench import (
    binding,
    calls,
    laptop,
    life,
    memory,
    opening,
    scaling,
    slots,
    table,
    trip,
)

SECTIONS = {
    "slots": slots.run,
    "open": opening.run,
    "bind": binding.run,
    "trip": trip.run,
    "memory": memory.run,
    "laptop": laptop.run,
    "calls": calls.run,
    "scaling": scaling.run,
    "life": life.run,
}
# `life` needs the cluster, which takes minutes to build the first time; `scaling` is no matter of
# speed and has a page of its own.
UNASKED = tuple(name for name in SECTIONS if name not in {"life", "scaling"})


def main() -> int:
    """Run the sections that were asked for; each publishes its own tables and pictures."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--only", metavar="SECTION,...", help=", ".join(SECTIONS))
    words = parser.parse_args().only
    chosen = words.split(",") if words else UNASKED
    unknown = set(chosen) - set(SECTIONS)
    if unknown:
        parser.error(f"no section {', '.join(unknown)}; there are: {', '.join(SECTIONS)}")
    began = os.getloadavg()[0]
    failed = [name for name in chosen if not _done(name)]
    timed = [name for name in chosen if name not in {*failed, "scaling"}]
    if timed:
        table.publish("machine", _machine(timed, began))
    if failed:
        print(f"these sections failed, and their tables are as they were: {', '.join(failed)}")
    return 1 if failed else 0


def _done(section: str) -> bool:
    """Run a section; tell whether it came to its end. Those behind it run all the same."""
    try:
        SECTIONS[section]()
    except Exception:  # noqa: BLE001 - whatever it was is shown
        traceback.print_exc()
        return False
    return True


def _machine(sections: Sequence[str], load: float) -> str:
    words = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    model = next(
        (line.split(":", 1)[1].strip() for line in words.splitlines() if "model name" in line),
        platform.machine(),
    )
    return (
        f"Last run {time.strftime('%Y-%m-%d')}, sections {', '.join(sections)}: "
        f"{model}, {os.cpu_count()} cores, Linux {platform.release()}, "
        f"Python {platform.python_version()}; load average {load:.1f} before it and "
        f"{os.getloadavg()[0]:.1f} after it (near 0 and 1 to 2 on a quiet machine)."
    )


if __name__ == "__main__":
    sys.exit(main())
