"""A host's metrics as Prometheus scrapes them; imported when it does so for the first time."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.core import Metric as Family
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from pluginsandbox.telemetry.host_metrics import HostMetrics
from pluginsandbox.telemetry.series import Count, Durations, Gauge, Metric

__all__ = ["CONTENT_TYPE_LATEST", "document", "registry"]


def document(metrics: HostMetrics) -> bytes:
    """Return what is scraped."""
    return generate_latest(registry(metrics))


def registry(metrics: HostMetrics) -> CollectorRegistry:
    """Return a host's metrics for the tools of prometheus_client."""
    made = CollectorRegistry()
    made.register(_Host(metrics))
    return made


class _Host(Collector):
    def __init__(self, metrics: HostMetrics) -> None:
        self._metrics = metrics

    def collect(self) -> Iterator[Family]:
        yield from map(_counter, self._metrics.counters)
        yield from map(_gauge, self._metrics.gauges)
        yield from map(_histogram, self._metrics.histograms)


def _counter(metric: Metric[Count]) -> Family:
    family = CounterMetricFamily(metric.name, metric.text, labels=metric.labels)
    for labels, count in metric:
        family.add_metric(labels, count.value)
    return family


def _gauge(metric: Metric[Gauge]) -> Family:
    family = GaugeMetricFamily(metric.name, metric.text, labels=metric.labels)
    for labels, gauge in metric:
        family.add_metric(labels, gauge.read())
    return family


def _histogram(metric: Metric[Durations]) -> Family:
    family = HistogramMetricFamily(metric.name, metric.text, labels=metric.labels)
    for labels, durations in metric:
        buckets = [
            (floatToGoString(bound), float(count))  # type: ignore[no-untyped-call]
            for bound, count in durations.buckets()
        ]
        family.add_metric(labels, buckets, durations.sum)
    return family
