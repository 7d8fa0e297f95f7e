"""Writes every generated file anew, or with --check says which has drifted from its source."""

from __future__ import annotations

import argparse
import sys

from tests.bed import shell

# Each module writes its files, and with --check only compares them.
GENERATORS = (
    "pluginsandbox.api.crd",
    "pluginsandbox.api.reference",
    "pluginsandbox.api.runbook",
    "plugins.render_samples",
    "tests.manifests",
    "tests.hostile.table",
    "tests.deputy.table",
    "tests.rights.table",
    "tests.bench.traces",
)


def main() -> int:
    """Run all generators; return 1 if one found drift."""
    parser = argparse.ArgumentParser(prog="python -m tests.generate", description=__doc__)
    parser.add_argument("--check", action="store_true", help="compare only; fail on drift")
    words = ["--check"] if parser.parse_args().check else []
    failed = 0
    for name in GENERATORS:
        try:
            print(shell.module(name, *words), end="")
        except shell.CommandError as error:
            failed = 1
            print(error, file=sys.stderr)
    if failed:
        print("generated files drifted; run `make generate` and commit", file=sys.stderr)
    return failed


if __name__ == "__main__":
    sys.exit(main())
