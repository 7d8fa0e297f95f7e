"""The two clocks of a process: the time of day, which somebody may set, and one that only runs."""

from __future__ import annotations

import dataclasses
import datetime as dt
import time
from collections.abc import Callable


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


@dataclasses.dataclass(frozen=True, slots=True)
class Clocks:
    """Both clocks.

    Args:
        wall: The time of day.
        steady: Monotonic seconds.

    """

    wall: Callable[[], dt.datetime] = _now
    steady: Callable[[], float] = time.monotonic

    def zero(self) -> dt.datetime:
        """Return the time of day at which the steady clock was 0; it moves if that is set."""
        return self.wall() - dt.timedelta(seconds=self.steady())
