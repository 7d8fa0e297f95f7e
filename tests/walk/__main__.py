"""`python -m tests.walk --transitions 2000`: walks, and ends with one line of counts."""

from __future__ import annotations

import argparse
import asyncio
import logging
import sys

import structlog

from tests.walk.walk import Report, walk

EVERY = 100


def main() -> int:
    """Walk; 0 if nothing diverged."""
    parser = argparse.ArgumentParser(prog="python -m tests.walk", description=__doc__)
    parser.add_argument("--transitions", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0, help="of the random numbers (default 0)")
    options = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    report = asyncio.run(walk(options.transitions, options.seed, _progress))
    for line in report.divergences:
        print(line)
    print(report.line())
    return 1 if report.divergences else 0


def _progress(report: Report) -> None:
    if report.transitions % EVERY == 0:
        print(report.line(), file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
