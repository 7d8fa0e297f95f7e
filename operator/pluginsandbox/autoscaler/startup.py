"""How long a pod of a sandbox takes to start, learnt from the time stamps of those that did."""

from __future__ import annotations

from collections.abc import Sequence

from pluginsandbox.autoscaler.numbers import clamp, divide_up

UNKNOWN_MILLISECONDS = 10_000
"""Until a pod has started."""
LEAST_MILLISECONDS = 100
MOST_MILLISECONDS = 600_000
PERCENT = 90
"""Of the pods started within the time that is returned."""
OVERDUE = 3
"""Times that. A pod that takes longer is no longer counted on."""


def start_milliseconds(started: Sequence[int], starting: Sequence[int] = ()) -> int:
    """Return the time in which nearly every pod starts.

    Args:
        started: From creation to ready, for each pod that takes calls, in milliseconds. Times that
            cannot be are bounded: nodes' clocks differ.
        starting: From creation to now, for those that do not yet: many at once take longer than
            the ones before, and this is how one sees it coming.

    """
    if not started:
        return clamp(max(starting, default=0), UNKNOWN_MILLISECONDS, MOST_MILLISECONDS)
    known = max(started)
    times = sorted([*started, *(age for age in starting if age > known)])
    rank = divide_up(len(times) * PERCENT, 100)
    return clamp(times[rank - 1], LEAST_MILLISECONDS, MOST_MILLISECONDS)


def coming(starting: Sequence[int], milliseconds: int) -> int:
    """Return how many of the starting pods can still be counted on.

    Args:
        starting: From creation to now, for each, in milliseconds.
        milliseconds: In which nearly every pod starts.

    """
    return sum(age <= OVERDUE * milliseconds for age in starting)
