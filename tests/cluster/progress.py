"""Tells a waiting person what is going on, on the error stream: results alone go to the other."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Self

_WORTH_TELLING_SECONDS = 0.25


def say(line: str) -> None:
    """Print one line at once."""
    print(line, file=sys.stderr, flush=True)


@contextmanager
def stage(title: str) -> Iterator[None]:
    """Print what was done and how long it took, if it took a while.

    Nothing if it failed, for the error will.
    """
    began = time.monotonic()
    yield
    if (took := time.monotonic() - began) > _WORTH_TELLING_SECONDS:
        say(f"  {title:<34}{took:6.1f} s")


class Progress:
    """Says what is being built, how far it is and for how long, until left.

    Args:
        title: what is being built.
    """

    def __init__(self, title: str) -> None:
        self.phase = "fetching sources"
        self.done = 0
        self.total = 0
        self._title = title
        self._began = time.monotonic()
        self._over = threading.Event()
        self._speaker = threading.Thread(target=self._speak, daemon=True)

    def __enter__(self) -> Self:
        self._speaker.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._speaker.join()

    def _speak(self) -> None:
        terminal = sys.stderr.isatty()
        pause = 1.0 if terminal else 15.0
        start, end = ("\r\033[K", "") if terminal else ("", "\n")
        while True:
            packages = f", {self.done} of {self.total} packages" if self.done else ""
            elapsed = time.monotonic() - self._began
            line = f"{self._title}: {self.phase}{packages}, {elapsed:.0f} s"
            print(f"{start}{line}", end=end, file=sys.stderr, flush=True)
            if self._over.wait(pause):
                break
        if terminal:
            print(start, end="", file=sys.stderr, flush=True)
