"""`make drift-watch` and `make demo-gitops`: Argo CD at work, at length and to be seen."""

from __future__ import annotations

import argparse
import asyncio
import logging
import sys

import structlog

from tests.bed.shell import CommandError
from tests.gitops import tour, watch


def main() -> int:
    """Read the command line; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.gitops", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    drift = commands.add_parser("drift", help="many decisions under both of Argo CD's diffs")
    drift.add_argument("--decisions", type=int, default=200, help="of each Application")
    commands.add_parser("demo", help="an empty cluster to a serving sandbox and on, by commits")
    commands.add_parser("clear", help="take off the cluster what a broken demo left")
    given = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    logging.disable(logging.CRITICAL)
    try:
        match given.command:
            case "drift":
                return 0 if asyncio.run(watch.run(given.decisions)) else 1
            case "demo":
                tour.run()
            case _:
                tour.clear()
    except (CommandError, TimeoutError) as error:
        print(f"\nStopped: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
