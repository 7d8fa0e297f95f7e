"""The `pluginsandbox` command."""

from __future__ import annotations

import argparse


def main(arguments: list[str] | None = None) -> int:
    """Run one command line; return its exit status."""
    parser = argparse.ArgumentParser(prog="pluginsandbox", description=__doc__)
    parser.parse_args(arguments)
    return 0
