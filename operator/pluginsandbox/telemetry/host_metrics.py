"""The metrics of a host: names, labels and buckets as the public contract fixes them.

Called by the host alone; the operator's are in `operator_metrics`. Labels are bounded: a plugin,
a function and a cause come from the configuration or from a closed list, never from a caller.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence

from pluginsandbox.telemetry.series import Count, Durations, Gauge, Metric, ValueT

# 50 microseconds to 10 seconds: a call's floor is the pair of context switches to its worker.
CALL_BUCKETS = (
    *(50e-6, 100e-6, 200e-6, 400e-6, 800e-6, 1.6e-3, 3.2e-3, 6.4e-3, 12.8e-3, 25.6e-3),
    *(51.2e-3, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 10.0),
)
# 10 microseconds to 1 second: a bind is a dictionary entry or a fork.
BIND_BUCKETS = (
    *(10e-6, 20e-6, 50e-6, 100e-6, 200e-6, 500e-6, 1e-3, 2e-3, 5e-3, 10e-3),
    *(20e-3, 50e-3, 0.1, 0.2, 0.5, 1.0),
)
LOAD_BUCKETS = (1e-3, 2e-3, 5e-3, 10e-3, 20e-3, 50e-3, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)

PREFIX = "pluginsandbox_"
OBJECT_LABELS = ("namespace", "sandbox")


class HostMetrics:
    """All metrics of one host, bound to its sandbox.

    Args:
        namespace: Namespace of the PluginSandbox; constant label of every series.
        sandbox: Name of the PluginSandbox; constant label of every series.

    """

    def __init__(self, namespace: str, sandbox: str) -> None:
        self.counters: list[Metric[Count]] = []
        self.gauges: list[Metric[Gauge]] = []
        self.histograms: list[Metric[Durations]] = []
        self._object = (namespace, sandbox)
        plugin = ("plugin",)
        outcome = ("outcome",)
        self.call_duration = self._histogram(
            "call_duration_seconds",
            "Time a call took, from the door taking it to its answer.",
            (*plugin, "function", "outcome"),
            CALL_BUCKETS,
        )
        self.bind_duration = self._histogram(
            "bind_duration_seconds",
            "Time to bind a context to a plugin, on_start included.",
            plugin,
            BIND_BUCKETS,
        )
        self.load_duration = self._histogram(
            "load_duration_seconds",
            "Time to load a plugin, by stage (fetch, verify, load, start).",
            (*plugin, "stage"),
            LOAD_BUCKETS,
        )
        self.contexts = self._gauge("contexts", "Contexts that are live.", ())
        self.bindings = self._gauge("bindings", "Bindings that are live.", plugin)
        self.reclaims = self._counter(
            "reclaims", "Bindings given back, by cause.", (*plugin, "cause")
        )
        self.reclaim_duration = self._histogram(
            "reclaim_duration_seconds",
            "Time to give a binding back, on_exit included.",
            (*plugin, "cause"),
            BIND_BUCKETS,
        )
        self.reclaimed_bytes = self._counter(
            "reclaimed_bytes",
            "Bytes given back; measured by the host or reported by the worker.",
            (*plugin, "cause", "kind"),
        )
        self.worker_exits = self._counter(
            "worker_exits", "Workers that ended, by cause.", (*plugin, "cause")
        )
        self.denials = self._counter(
            "denials",
            "Forbidden acts of plugins that the wall stopped; kill, notify or reported.",
            (*plugin, "kind"),
        )
        self.inflight_calls = self._gauge("inflight_calls", "Calls inside a worker.", plugin)
        self.queued_calls = self._gauge("queued_calls", "Calls that wait for a worker.", plugin)
        self.refused_calls = self._counter(
            "refused_calls", "Calls refused before they ran, by reason.", (*plugin, "reason")
        )
        self.restores = self._counter(
            "restores",
            "Bindings whose durable slots were given to another worker, by outcome.",
            (*plugin, "outcome"),
        )
        self.restore_duration = self._histogram(
            "restore_duration_seconds",
            "Time to bind a context with its durable slots, on_start and on_restore included.",
            plugin,
            BIND_BUCKETS,
        )
        self.durable_bytes = self._gauge(
            "durable_bytes", "Bytes of durable slots that the host holds.", plugin
        )

        self.forwards = self._counter(
            "forwards", "Calls and requests sent to the pod of their context, by outcome.", outcome
        )
        self.lookups = self._counter(
            "lookups", "Questions to a context's home where it is, by answer.", outcome
        )
        self.handovers = self._counter(
            "handovers",
            "Contexts offered to another pod before this one left, by outcome.",
            outcome,
        )
        self.peers = self._gauge(
            "peers", "Pods of the sandbox that this one knows, itself too.", ()
        )
        self.peers_silent = self._gauge(
            "peers_silent", "Pods of the sandbox that do not answer and may still live.", ()
        )

    def _histogram(
        self, name: str, text: str, labels: Sequence[str], buckets: Sequence[float]
    ) -> Metric[Durations]:
        metric = self._metric(name, text, labels, functools.partial(Durations, buckets))
        self.histograms.append(metric)
        return metric

    def _counter(self, name: str, text: str, labels: Sequence[str]) -> Metric[Count]:
        metric = self._metric(name, text, labels, Count)
        self.counters.append(metric)
        return metric

    def _gauge(self, name: str, text: str, labels: Sequence[str]) -> Metric[Gauge]:
        metric = self._metric(name, text, labels, Gauge)
        self.gauges.append(metric)
        return metric

    def _metric(
        self, name: str, text: str, labels: Sequence[str], make: Callable[[], ValueT]
    ) -> Metric[ValueT]:
        return Metric(PREFIX + name, text, (*OBJECT_LABELS, *labels), self._object, make)
