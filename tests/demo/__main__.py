"""`python -m tests.demo up|down`."""

from __future__ import annotations

import argparse
import sys

from tests.bed.shell import CommandError
from tests.demo import teardown, tour


def main() -> int:
    """Run the demo or remove it; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.demo", description=__doc__)
    parser.add_argument("action", choices=("up", "down"))
    action = parser.parse_args().action
    try:
        if action == "up":
            tour.run()
        else:
            teardown.run()
    except (CommandError, TimeoutError) as error:
        print(f"\nThe demo stopped: {error}", file=sys.stderr)
        print("`make demo` goes on from here; `make demo-down` removes all of it.", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
