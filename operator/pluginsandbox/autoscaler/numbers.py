"""Whole-number arithmetic: floats would round differently from one machine to the next."""

from __future__ import annotations

from collections.abc import Sequence

MILLI = 1000


def mean(values: Sequence[int]) -> int:
    """Return the mean, rounded half up; 0 of nothing."""
    return (2 * sum(values) + len(values)) // (2 * len(values)) if values else 0


def divide_up(value: int, by: int) -> int:
    """Return the quotient, rounded up."""
    return -(-value // by)


def clamp(value: int, least: int, most: int) -> int:
    """Return the value within the bounds; `most` wins where they cross."""
    return min(max(value, least), most)
