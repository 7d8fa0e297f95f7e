"""The metrics of the operator: names, labels and buckets as the public contract fixes them."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

RECONCILE_BUCKETS = (1e-3, 2e-3, 5e-3, 10e-3, 20e-3, 50e-3, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
READY_BUCKETS = (0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 30.0, 60.0, 120.0, 300.0)
LAG_BUCKETS = (0.05, 0.1, 0.2, 0.5, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0)

PREFIX = "pluginsandbox_"


class OperatorMetrics:
    """All metrics of one operator process.

    Args:
        registry: Where the series live; a fresh one unless given.

    """

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self.registry = registry or CollectorRegistry()
        self.reconcile_duration = Histogram(
            PREFIX + "reconcile_duration_seconds",
            "Time of one reconcile, by outcome.",
            ("outcome",),
            buckets=RECONCILE_BUCKETS,
            registry=self.registry,
        )
        self.writes = Counter(
            PREFIX + "writes",
            "Writes to the API server, by kind and verb.",
            ("kind", "verb"),
            registry=self.registry,
        )
        self.repairs = Counter(
            PREFIX + "drift_repairs",
            "Children that somebody else changed or deleted, and that were put right, by kind.",
            ("kind",),
            registry=self.registry,
        )
        self.ready_duration = Histogram(
            PREFIX + "ready_duration_seconds",
            "Time from a new spec generation to Ready, by stage (apply, schedule, start, load).",
            ("stage",),
            buckets=READY_BUCKETS,
            registry=self.registry,
        )
        objects = ("namespace", "sandbox")
        self.desired_replicas = Gauge(
            PREFIX + "desired_replicas", "Pods wanted.", objects, registry=self.registry
        )
        self.ready_replicas = Gauge(
            PREFIX + "ready_replicas", "Pods ready.", objects, registry=self.registry
        )
        self.scale_decisions = Counter(
            PREFIX + "scale_decisions",
            "Decisions of the autoscaler, by direction and by what decided.",
            ("direction", "reason"),
            registry=self.registry,
        )
        self.scale_decision_lag = Histogram(
            PREFIX + "scale_decision_lag_seconds",
            "Time from the end of the second that a step answers to the decision.",
            buckets=LAG_BUCKETS,
            registry=self.registry,
        )
        self.queue_depth = Gauge(
            PREFIX + "queue_depth", "Objects that wait for a reconcile.", registry=self.registry
        )
        self.leader = Gauge(
            PREFIX + "leader", "1 while this process holds the Lease.", registry=self.registry
        )
