"""`python -m tests.bench --only calls,trip`: all sections unless some are named."""

from __future__ import annotations

import argparse
import os
import platform
import time
from pathlib import Path

from tests.bench import (
    binding,
    calls,
    laptop,
    life,
    memory,
    opening,
    programs,
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
# `life` needs the cluster, which takes minutes to build the first time.
UNASKED = tuple(name for name in SECTIONS if name != "life")


def main() -> None:
    """Run the sections that were asked for; each publishes its own tables and pictures."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--only", metavar="SECTION,...", help=", ".join(SECTIONS))
    words = parser.parse_args().only
    chosen = words.split(",") if words else UNASKED
    unknown = set(chosen) - set(SECTIONS)
    if unknown:
        parser.error(f"no section {', '.join(unknown)}; there are: {', '.join(SECTIONS)}")
    for module in (programs.LOAD, programs.GO_PLUGIN):
        programs.built(module)
    programs.shared_object()
    began = os.getloadavg()[0]
    for name in chosen:
        SECTIONS[name]()
    table.publish("machine", _machine(chosen, began))


def _machine(sections: tuple[str, ...] | list[str], load: float) -> str:
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
    main()
