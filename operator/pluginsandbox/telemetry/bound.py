"""A metric with its first labels already said, and its children remembered.

`labels()` of prometheus_client costs more than the increment behind it; on a call path the child is
therefore looked up once and kept.
"""

from __future__ import annotations

from typing import Generic, TypeVar

from prometheus_client.metrics import MetricWrapperBase

MetricT = TypeVar("MetricT", bound=MetricWrapperBase)


class Bound(Generic[MetricT]):
    """A metric whose leading label values never change.

    Args:
        metric: The metric, with at least as many labels as `leading` has values.
        leading: Values of its first labels.

    """

    def __init__(self, metric: MetricT, leading: tuple[str, ...]) -> None:
        self._metric = metric
        self._leading = leading
        self._children: dict[tuple[str, ...], MetricT] = {}

    def __call__(self, *values: str) -> MetricT:
        """Return the child for the remaining label values, in the order they were declared."""
        child = self._children.get(values)
        if child is None:
            child = self._metric.labels(*self._leading, *values)
            self._children[values] = child
        return child
