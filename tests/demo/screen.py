"""What the demo prints: numbered steps with their seconds, then plain tables."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Iterator, Sequence

BOLD, DIM, RESET = ("\033[1m", "\033[2m", "\033[0m") if sys.stdout.isatty() else ("", "", "")


class Screen:
    """Counts the steps and remembers how long each took."""

    def __init__(self) -> None:
        self.began = time.monotonic()
        self.steps = 0

    @contextlib.contextmanager
    def step(self, title: str) -> Iterator[None]:
        """Announce a step before it starts, and say how long it took when it ends."""
        self.steps += 1
        start = time.monotonic()
        print(f"{BOLD}{self.steps}. {title}{RESET}", flush=True)
        yield
        print(f"   {DIM}done in {time.monotonic() - start:.1f} s{RESET}", flush=True)

    def title(self, text: str) -> None:
        """Begin a part of the report."""
        print(f"\n{BOLD}{text}{RESET}")

    def say(self, text: str) -> None:
        """Print lines, indented."""
        for line in text.rstrip().splitlines():
            print(f"   {line}", flush=True)

    def table(self, heads: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Print rows in columns as wide as their widest cell."""
        widths = [max(map(len, column)) for column in zip(heads, *rows, strict=True)]
        for number, row in enumerate((heads, *rows)):
            line = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
            self.say(f"{DIM}{line.rstrip()}{RESET}" if number == 0 else line)

    @property
    def seconds(self) -> float:
        """Seconds since the demo began."""
        return time.monotonic() - self.began
