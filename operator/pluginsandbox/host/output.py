"""What a plugin prints or logs becomes Log frames: bounded lines, a bounded number of them.

The bound here keeps an honest plugin's accident cheap; the host has its own for a dishonest one.
What C code writes to descriptors 1 and 2 goes to /dev/null.
"""

from __future__ import annotations

import io
import logging
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing_extensions import Buffer

# typing.override is younger than Python 3.11, and nothing else would need typing_extensions here.
# mypy: disable-error-code=explicit-override

LINE_CHARACTERS = 4096
LINES_PER_SECOND = 200

Sink = Callable[[str, str], None]
"""Takes level and message."""


class Bounded:
    """Passes at most `LINES_PER_SECOND` lines on, and says how many it did not.

    Args:
        sink: Where they go.
        clock: Seconds that only grow.

    """

    def __init__(self, sink: Sink, clock: Callable[[], float] = time.monotonic) -> None:
        self.sink = sink
        self._clock = clock
        self._second = 0
        self._passed = 0
        self._dropped = 0
        self._told = 0
        """In which second it was said that lines were dropped."""

    def __call__(self, level: str, message: str) -> None:
        """Pass one line on, cut to `LINE_CHARACTERS`, or drop it."""
        second = int(self._clock())
        if second != self._second:
            self._second, self._passed = second, 0
            self._tell(second)
        if self._passed >= LINES_PER_SECOND:
            self._dropped += 1
            return
        self._passed += 1
        if len(message) > LINE_CHARACTERS:
            message = message[:LINE_CHARACTERS] + " (cut)"
        self.sink(level, message)

    def finish(self) -> None:
        """Say how many lines were dropped, unless that was said in this second already."""
        if self._dropped:
            second = int(self._clock())
            if second != self._told:
                self._tell(second)

    def _tell(self, second: int) -> None:
        if self._dropped:
            dropped, self._dropped, self._told = self._dropped, 0, second
            self.sink("warning", f"{dropped} lines were dropped: too many in one second")


class Lines(io.RawIOBase):
    """A standard stream's bytes, line by line.

    Args:
        name: What the stream calls itself.
        level: Level of every line.
        sink: Where they go.

    """

    def __init__(self, name: str, level: str, sink: Sink) -> None:
        super().__init__()
        self.name = name
        self._level = level
        self._sink = sink
        self.rest = b""
        """The last line, as long as it is not ended."""

    def writable(self) -> bool:
        """Say that this is a stream to write to."""
        return True

    def write(self, data: Buffer, /) -> int:
        """Pass on the lines that `data` ends; what is too long of the last one is lost."""
        taken = bytes(data)
        *lines, rest = (self.rest + taken).split(b"\n")
        self.rest = rest[: 4 * LINE_CHARACTERS]
        for line in lines:
            self._pass_on(line)
        return len(taken)

    def finish(self) -> None:
        """Pass on a last line that was not ended."""
        if self.rest:
            line, self.rest = self.rest, b""
            self._pass_on(line)

    def _pass_on(self, line: bytes) -> None:
        self._sink(self._level, line.decode(errors="replace"))


class _Handler(logging.Handler):
    def __init__(self, sink: Sink) -> None:
        super().__init__()
        self._sink = sink

    def emit(self, record: logging.LogRecord) -> None:
        """Pass a record on."""
        try:
            self._sink(_level(record.levelno), self.format(record))
        except Exception:  # noqa: BLE001 - a logging call must not raise
            self.handleError(record)


def _level(number: int) -> str:
    if number >= logging.ERROR:
        return "error"
    if number >= logging.WARNING:
        return "warning"
    return "info" if number >= logging.INFO else "debug"


class Output:
    """Standard output, standard error and logging of a worker.

    Made in the zygote, before the fork: to make it takes a third of a millisecond.
    """

    def __init__(self) -> None:
        self._bounded = Bounded(_nobody)
        self._out = Lines("<stdout>", "info", self._bounded)
        self._err = Lines("<stderr>", "warning", self._bounded)
        self._streams = _text(self._out), _text(self._err)
        root = logging.getLogger()
        root.addHandler(_Handler(self._bounded))
        root.setLevel(logging.INFO)

    def capture(self, sink: Sink) -> None:
        """Send all of it to `sink` from now on."""
        self._bounded.sink = sink
        out, err = self._streams
        sys.stdout = sys.__stdout__ = out  # type: ignore[misc]
        sys.stderr = sys.__stderr__ = err  # type: ignore[misc]

    def finish(self) -> None:
        """Pass on lines that were not ended."""
        if self._out.rest or self._err.rest:
            self._out.finish()
            self._err.finish()
        self._bounded.finish()


def _nobody(level: str, message: str) -> None:
    """Pass over what is said before anybody listens: nothing."""


def _text(lines: Lines) -> io.TextIOWrapper:
    return io.TextIOWrapper(lines, encoding="utf-8", errors="replace", write_through=True)
