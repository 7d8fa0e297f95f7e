"""A sandbox's way to Ready on the warm cluster: seconds by stage, writes, memory, rest."""

from __future__ import annotations

import collections
import json
import time
import uuid
from collections.abc import Sequence
from typing import Any

from tests.bed import platform, sandboxes
from tests.bed.kubectl import Kubectl
from tests.bed.platform import NAMESPACE, Platform
from tests.bench import chart, table
from tests.bench.table import Spread
from tests.cluster.layout import Layout
from tests.demo import metrics

RUNS = 8
REST_SECONDS = 120
STAGES = ("apply", "schedule", "start", "load")
VERBS = ("create", "update", "patch", "delete")
READY = "pluginsandbox_ready_duration_seconds"
ACCOUNT = f"system:serviceaccount:{NAMESPACE}:"


def run() -> None:
    """Install the operator, make sandboxes one by one, then leave them alone for a while."""
    cluster = platform.prepare()
    cluster.install()
    namespace = f"bench-{uuid.uuid4().hex[:6]}"
    cluster.kubectl("create", "namespace", namespace)
    try:
        table.publish("life", _measure(cluster, namespace))
    finally:
        cluster.kubectl("delete", "namespace", namespace, "--wait=false")


def _measure(cluster: Platform, namespace: str) -> str:
    kubectl = cluster.kubectl
    before = _operator_metrics(kubectl)
    seconds = Spread(tuple(_to_ready(kubectl, namespace, n) for n in range(RUNS)))
    after = _operator_metrics(kubectl)
    time.sleep(5)  # events may still be on their way; they are counted as of the making
    making = _writes(namespace)
    print(f"leaving {RUNS} sandboxes alone for {REST_SECONDS} s", flush=True)
    time.sleep(REST_SECONDS)
    resting = _writes(namespace)
    stages = _stages(before, after)
    _draw(seconds, stages)
    rows = [
        ("`kubectl apply` to Ready, seconds", seconds.text(2)),
        *((f"of which {stage}, mean seconds", f"{mean:.3f}") for stage, mean in stages),
        ("writes for each sandbox, by kind", _by_kind(making)),
        (
            f"writes in {REST_SECONDS} s of rest with {RUNS} sandboxes",
            str(resting.total() - making.total()),
        ),
        ("operator, resident MiB", _operator_memory(kubectl)),
        ("host image, MB", f"{cluster.host.size / 1e6:.0f}"),
        ("operator image, MB", f"{cluster.operator.size / 1e6:.0f}"),
    ]
    return table.markdown(("what", "figure"), rows)


def _to_ready(kubectl: Kubectl, namespace: str, number: int) -> float:
    name = f"counter-{number}"
    print(f"sandbox {number + 1} of {RUNS}", flush=True)
    source, sandbox = sandboxes.counter(name)
    sandboxes.apply(kubectl, namespace, source)
    began = time.monotonic()
    sandboxes.apply(kubectl, namespace, sandbox)
    target = ("-n", namespace, f"psb/{name}", "--for=condition=Ready", "--timeout=60s")
    kubectl("wait", *target)
    return time.monotonic() - began


def _operator_metrics(kubectl: Kubectl) -> metrics.Series:
    return metrics.read(kubectl, NAMESPACE, "deployment/pluginsandbox", 8080)


def _draw(seconds: Spread, stages: Sequence[tuple[str, float]]) -> None:
    parts = [(f"of which {stage}", Spread((mean,))) for stage, mean in stages]
    rows = [("kubectl apply to Ready", seconds), *parts]
    chart.bars("life", "A sandbox's way to Ready, seconds", rows, ours="kubectl")


def _stages(before: metrics.Series, after: metrics.Series) -> list[tuple[str, float]]:
    """Return the mean seconds of each stage between two readings."""
    found = []
    for stage in STAGES:
        label = f'{{stage="{stage}"}}'
        total, count = (
            after.get(f"{READY}_{part}{label}", 0.0) - before.get(f"{READY}_{part}{label}", 0.0)
            for part in ("sum", "count")
        )
        if count:
            found.append((stage, total / count))
    return found


def _writes(namespace: str) -> collections.Counter[str]:
    """Count the operator's writes in a namespace, as the API server's audit log has them."""
    counted: collections.Counter[str] = collections.Counter()
    for line in Layout().audit_log.read_text(encoding="utf-8").splitlines():
        event: dict[str, Any] = json.loads(line)
        target = event.get("objectRef", {})
        if (
            event["stage"] == "ResponseComplete"
            and event["verb"] in VERBS
            and target.get("namespace") == namespace
            and event["user"]["username"].startswith(ACCOUNT)
        ):
            kind = "/".join(filter(None, (target["resource"], target.get("subresource"))))
            counted[f"{event['verb']} {kind}"] += 1
    return counted


def _by_kind(counted: collections.Counter[str]) -> str:
    return ", ".join(f"{kind} {number / RUNS:g}" for kind, number in sorted(counted.items()))


def _operator_memory(kubectl: Kubectl) -> str:
    target = "deployment/pluginsandbox"
    words = ("python3", "-c", "print(open('/proc/1/status').read())")
    status = kubectl("exec", "-n", NAMESPACE, target, "--", *words)
    resident = next(line for line in status.splitlines() if line.startswith("VmRSS:"))
    return f"{int(resident.split()[1]) / 1024:.0f}"
