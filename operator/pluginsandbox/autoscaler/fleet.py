"""Pods that are not there: the model of a sandbox that `simulate` scales.

Every pod starts in the same time and serves so many calls at once; what goes, goes at once, and
those on their way go first.
"""

from __future__ import annotations

import dataclasses

STEP = 0.1
"""Seconds between two looks at queue and pods."""


class Fleet:
    """Pods, ready or on their way.

    Args:
        replicas: Ready at the beginning.
        start_seconds: How long one takes to start.

    """

    def __init__(self, replicas: int, start_seconds: float) -> None:
        self._start_seconds = start_seconds
        self._ready_at = [float("-inf")] * replicas
        """Oldest first."""

    def scale(self, pods: int, now: float) -> None:
        """Add pods that begin to start now, or remove the newest."""
        more = pods - len(self._ready_at)
        self._ready_at += [now + self._start_seconds] * more
        del self._ready_at[pods:]

    def __len__(self) -> int:
        return len(self._ready_at)

    def ready(self, now: float) -> int:
        """Return how many serve at a moment."""
        return sum(at <= now + STEP / 1000 for at in self._ready_at)


@dataclasses.dataclass(slots=True)
class Queue:
    """Calls in progress or waiting.

    Args:
        call_seconds: How long a call takes. Then demand is what is offered: calls come at the rate
            that keeps so many in progress, and pile up where pods lack. None: demand is what is
            there, in progress or waiting.
        calls: How many there are.

    """

    call_seconds: float | None
    calls: float

    def move(self, demand: float, places: float, seconds: float) -> float:
        """Go on by some seconds; return how many calls were there on average.

        Args:
            demand: What is offered, or there.
            places: Calls that the ready pods serve at once.
            seconds: How long.

        """
        before = self.calls
        if self.call_seconds is None:
            self.calls = demand
            return demand
        came = demand / self.call_seconds * seconds
        ended = min(before, places) / self.call_seconds * seconds
        self.calls = max(0.0, before + came - ended)
        return (before + self.calls) / 2
