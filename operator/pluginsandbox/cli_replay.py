"""`pluginsandbox replay`: decide once more from a record, and see that the answers are the same."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from pluginsandbox.autoscaler import record
from pluginsandbox.autoscaler.record import RecordError, Replayed


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "file", type=Path, help="decisions, one JSON object a line, as `simulate --record` writes"
    )
    parser.add_argument("--quiet", action="store_true", help="print differences alone")


def run(options: argparse.Namespace) -> int:
    """Replay all decisions; 1 if an answer differs, or a line cannot be read."""
    try:
        found = [_replay(options.file, n, line) for n, line in _lines(options.file) if line.strip()]
    except RecordError as error:
        print(f"pluginsandbox replay: {error}", file=sys.stderr)
        return 1
    for each in found:
        if not each.same or not options.quiet:
            print(_tell(each))
    different = sum(not each.same for each in found)
    print(f"{len(found)} decisions replayed, {different or 'none'} with another answer")
    return 1 if different else 0


def _lines(path: Path) -> list[tuple[int, bytes]]:
    try:
        return list(enumerate(path.read_bytes().splitlines(), start=1))
    except OSError as error:
        raise RecordError(f"{path}: cannot be read: {error.strerror}") from error


def _replay(path: Path, number: int, line: bytes) -> Replayed:
    try:
        return record.replay(line)
    except RecordError as error:
        raise RecordError(f"{path}: line {number}: {error}") from error


def _tell(each: Replayed) -> str:
    told = f"{each.time}  {record.sentence(each.seen)}"
    if each.same:
        return f"same       {told}"
    was = each.recorded
    return f"DIFFERENT  {told}; the record says {was.desired}: {was.reason}, {was.limit}"
