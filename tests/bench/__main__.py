"""`python -m tests.bench [calls|laptop|life ...]`: all of them unless some are named."""

from __future__ import annotations

import argparse

from tests.bench import calls, laptop, life, scaling

PARTS = {"laptop": laptop.run, "calls": calls.run, "life": life.run, "scaling": scaling.run}


def main() -> None:
    """Run the parts that were asked for; each publishes its own table."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help=", ".join(PARTS))
    chosen = parser.parse_args().parts or list(PARTS)
    unknown = set(chosen) - set(PARTS)
    if unknown:
        parser.error(f"no part {', '.join(sorted(unknown))}; there are: {', '.join(PARTS)}")
    for name in chosen:
        PARTS[name]()


if __name__ == "__main__":
    main()
