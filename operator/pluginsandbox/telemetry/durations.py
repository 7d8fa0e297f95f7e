"""A histogram for the call path: filled by one thread, so it needs no lock.

prometheus_client's own takes a mutex twice and walks its buckets for each value, which every call
of a plugin would pay for. What is scraped is the same.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence

from prometheus_client import CollectorRegistry
from prometheus_client.core import HistogramMetricFamily
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString


class Series:
    """The values under one set of labels.

    Args:
        bounds: Upper bounds of the buckets, ascending; one more bucket takes what is above.

    """

    __slots__ = ("_bounds", "_counts", "_sum")

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self._sum = 0.0

    def observe(self, seconds: float) -> None:
        """Count one value."""
        self._counts[bisect_left(self._bounds, seconds)] += 1
        self._sum += seconds

    def buckets(self) -> list[tuple[str, float]]:
        """Return upper bound and cumulative count of each bucket."""
        total, result = 0, []
        for bound, count in zip((*self._bounds, float("inf")), self._counts, strict=True):
            total += count
            result.append((floatToGoString(bound), float(total)))  # type: ignore[no-untyped-call]
        return result

    @property
    def sum(self) -> float:
        """Return the sum of all values in seconds."""
        return self._sum


class Durations(Collector):
    """A histogram whose leading label values never change.

    Args:
        name: Of the metric.
        text: What it says.
        labels: Names of all labels.
        leading: Values of the first of them.
        bounds: Upper bounds of the buckets in seconds.
        registry: Where it is scraped.

    """

    def __init__(
        self,
        name: str,
        text: str,
        labels: Sequence[str],
        leading: tuple[str, ...],
        bounds: Sequence[float],
        registry: CollectorRegistry,
    ) -> None:
        self._name = name
        self._text = text
        self._labels = labels
        self._leading = leading
        self._bounds = tuple(bounds)
        self._series: dict[tuple[str, ...], Series] = {}
        registry.register(self)

    def __call__(self, *values: str) -> Series:
        """Return the series of the remaining label values, in the order of the labels."""
        series = self._series.get(values)
        if series is None:
            series = self._series[values] = Series(self._bounds)
        return series

    def collect(self) -> Iterator[HistogramMetricFamily]:
        """Return what is scraped."""
        family = HistogramMetricFamily(self._name, self._text, labels=self._labels)
        for values, series in self._series.items():
            family.add_metric((*self._leading, *values), series.buckets(), series.sum)
        yield family
