"""From what Kubernetes says of a sandbox's pods to what the autoscaler asks of them. Pure."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

from pluginsandbox.autoscaler.decide import Pods
from pluginsandbox.autoscaler.startup import coming, start_milliseconds
from pluginsandbox.controller import explain
from pluginsandbox.controller.trim import Body


def count(deployment: Body, pods: Sequence[Body], now: dt.datetime) -> Pods:
    """Return how many pods are wanted, ready and on their way, and how long one takes to start.

    Args:
        deployment: As it is.
        pods: Of the sandbox.
        now: Wall clock.

    """
    requested = int((deployment.get("spec") or {}).get("replicas") or 0)
    staying = [pod for pod in pods if not pod["metadata"].get("deletionTimestamp")]
    ready = [pod for pod in staying if explain.is_ready(pod)]
    starting = [
        _milliseconds(pod["metadata"].get("creationTimestamp"), now.isoformat())
        for pod in staying
        if not explain.is_ready(pod)
    ]
    refused = explain.is_true(deployment, "ReplicaFailure")
    unmade = 0 if refused else max(0, requested - len(staying))
    start = start_milliseconds([_started(pod) for pod in ready], starting)
    return Pods(requested, len(ready), coming(starting, start) + unmade, start)


def _started(pod: Body) -> int:
    """Return how long a ready pod took to become it, in milliseconds."""
    ready = explain.condition(pod, "Ready").get("lastTransitionTime")
    return _milliseconds(pod["metadata"].get("creationTimestamp"), ready)


def _milliseconds(begin: str | None, end: str | None) -> int:
    if not begin or not end:
        return 0
    passed = dt.datetime.fromisoformat(end) - dt.datetime.fromisoformat(begin)
    return max(0, int(passed.total_seconds() * 1000))
