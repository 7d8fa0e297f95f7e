"""The values behind a host's metrics: filled by one thread, so they need no lock.

prometheus_client's own take a mutex twice for each value, which every call of a plugin would pay
for, and its import is a tenth of what a host takes to start. So it comes in with the first scrape
(`exposition`); what is scraped is the same.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from typing import Generic, TypeVar


class Count:
    """A number that only grows."""

    __slots__ = ("value",)

    def __init__(self) -> None:
        self.value = 0.0

    def inc(self, amount: float = 1.0) -> None:
        """Add to it."""
        self.value += amount


class Gauge:
    """A number that is read when somebody asks."""

    __slots__ = ("read",)

    def __init__(self) -> None:
        self.read: Callable[[], float] = float

    def set_function(self, read: Callable[[], float]) -> None:
        """Say where it comes from."""
        self.read = read


class Durations:
    """A histogram of seconds.

    Args:
        bounds: Upper bounds of the buckets, ascending; one more bucket takes what is above.

    """

    __slots__ = ("_bounds", "_counts", "sum")

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self.sum = 0.0
        """Of all values, in seconds."""

    def observe(self, seconds: float) -> None:
        """Count one value."""
        self._counts[bisect_left(self._bounds, seconds)] += 1
        self.sum += seconds

    def buckets(self) -> Iterator[tuple[float, int]]:
        """Return upper bound and cumulative count of each bucket."""
        total = 0
        for bound, count in zip((*self._bounds, float("inf")), self._counts, strict=True):
            total += count
            yield bound, total


ValueT = TypeVar("ValueT", bound=Count | Gauge | Durations)


class Metric(Generic[ValueT]):
    """A metric whose leading label values never change.

    Args:
        name: Of the metric.
        text: What it says.
        labels: Names of all labels.
        leading: Values of the first of them.
        make: Makes the value under one set of labels.

    """

    def __init__(
        self,
        name: str,
        text: str,
        labels: Sequence[str],
        leading: tuple[str, ...],
        make: Callable[[], ValueT],
    ) -> None:
        self.name = name
        self.text = text
        self.labels = labels
        self._leading = leading
        self._make = make
        self._values: dict[tuple[str, ...], ValueT] = {}

    def __call__(self, *values: str) -> ValueT:
        """Return the value for the remaining label values, in the order of the labels."""
        found = self._values.get(values)
        if found is None:
            found = self._values[values] = self._make()
        return found

    def __iter__(self) -> Iterator[tuple[tuple[str, ...], ValueT]]:
        """Return the values of all labels, and what is under them."""
        for values, found in self._values.items():
            yield (*self._leading, *values), found
