"""What our autoscaler is held against, each with the same samples and the same pods."""

from __future__ import annotations

import json
import math
import subprocess
from collections import deque
from pathlib import Path
from types import TracebackType
from typing import Self

from pluginsandbox.api.scaling import MAX_REPLICAS
from pluginsandbox.autoscaler.decide import Pods
from pluginsandbox.autoscaler.numbers import MILLI, clamp
from pluginsandbox.autoscaler.sample import Sample
from pluginsandbox.autoscaler.simulate import Model
from pluginsandbox.autoscaler.trace import Trace
from tests.cluster import build
from tests.cluster.versions import Module

KPA = Module(
    name="kpa",
    requires="knative.dev/serving",
    version="v0.42.2",
    outputs={"kpa": "."},
    modules=Path(__file__).with_name("modules"),
)
KPA_STABLE_SECONDS = 60
WARM_SECONDS = 120
"""How long KPA sees the trace's first load before it begins: it takes a minute to settle."""


class Kpa:
    """Knative's own code, as a process beside ours.

    Args:
        target: Calls for each pod.
        warm: Calls before the trace begins.
        replicas: Pods then.

    """

    def __init__(self, target: float, warm: float, replicas: int) -> None:
        program = build.ensure([KPA])[KPA.name] / "kpa"
        self._process = subprocess.Popen(
            [program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )
        self._write({"target": target, "stableSeconds": KPA_STABLE_SECONDS})
        self._second = 0
        for _ in range(WARM_SECONDS):
            self._next(warm, replicas)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        with self._process:
            self._process.kill()

    def tick(self, _: int, sample: Sample | None, pods: Pods) -> int:
        """Return what KPA wants; it decides every other second."""
        calls = None if sample is None else sample.concurrency / MILLI
        return max(1, min(self._next(calls, pods.ready), MAX_REPLICAS))

    def _next(self, calls: float | None, ready: int) -> int:
        self._second += 1
        there = {} if calls is None else {"concurrency": calls}
        self._write({"second": self._second, "ready": ready, **there})
        assert self._process.stdout is not None
        return int(self._process.stdout.readline())

    def _write(self, line: dict[str, object]) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(line) + "\n")


HPA_SYNC_SECONDS = 15
HPA_TOLERANCE = 0.1
HPA_METRIC_SECONDS = 15
"""Over how long its metric is the mean; it gets it without delay, which no adapter manages."""


class Hpa:
    """The horizontal pod autoscaler (autoscaling/v2), as Kubernetes documents its algorithm.

    Args:
        target: Calls for each pod.
        percent: Pods that may be added within `period`, in percent.
        pods: The same as a number; the larger of both counts.
        period: Seconds.
        stabilization: Seconds for which the highest answer is kept.

    """

    def __init__(
        self, target: int, *, percent: int, pods: int, period: int, stabilization: int
    ) -> None:
        self._target, self._percent, self._pods = target, percent, pods
        self._period, self._stabilization = period, stabilization
        self._samples: deque[tuple[int, float]] = deque(maxlen=HPA_METRIC_SECONDS)
        self._added: list[tuple[int, int]] = []
        self._answers: list[tuple[int, int]] = []

    def tick(self, now: int, sample: Sample | None, pods: Pods) -> int:
        """Return what HPA wants; it decides every 15 seconds."""
        if sample is not None:
            self._samples.append((now, sample.concurrency / MILLI))
        fresh = [calls for at, calls in self._samples if at > now - HPA_METRIC_SECONDS]
        if now % HPA_SYNC_SECONDS or not fresh:
            return pods.requested
        self._answers.append((now, self._answer(sum(fresh) / len(fresh), pods)))
        self._answers = [one for one in self._answers if one[0] > now - self._stabilization]
        latest, highest = self._answers[-1][1], max(answer for _, answer in self._answers)
        wanted = clamp(pods.requested, latest, highest)
        wanted = max(1, min(wanted, self._most(now, pods.requested), MAX_REPLICAS))
        if wanted > pods.requested:
            self._added.append((now, wanted - pods.requested))
        return wanted

    def _answer(self, calls: float, pods: Pods) -> int:
        """Return the metric's answer; pods that are not ready count as idle when adding."""
        ratio = calls / max(1, pods.ready) / self._target
        if ratio > 1:
            ratio = calls / max(1, pods.requested) / self._target
            if ratio <= 1 + HPA_TOLERANCE:
                return pods.requested
            return math.ceil(ratio * pods.requested - 1e-9)
        if ratio >= 1 - HPA_TOLERANCE:
            return pods.requested
        return math.ceil(ratio * pods.ready - 1e-9)

    def _most(self, now: int, requested: int) -> int:
        began = requested - sum(more for at, more in self._added if at > now - self._period)
        return max(math.ceil(began * (1 + self._percent / 100)), began + self._pods)


def hpa(target: int) -> Hpa:
    """Return HPA with its defaults."""
    return Hpa(target, percent=100, pods=4, period=15, stabilization=300)


def fast_hpa(target: int) -> Hpa:
    """Return HPA that may grow tenfold in one step, and shrinks after a minute."""
    return Hpa(target, percent=900, pods=4, period=60, stabilization=60)


class Oracle:
    """Knows the trace: pods are ready when they are needed, and gone when they are not.

    Args:
        trace: What will come.
        model: The sandbox.

    """

    def __init__(self, trace: Trace, model: Model) -> None:
        self._trace, self._model = trace, model
        self._lead = math.ceil(model.start_seconds)

    def tick(self, now: int, _sample: Sample | None, _pods: Pods) -> int:
        """Return the most pods that are needed until those asked for now are ready."""
        second = now - self._model.begins
        calls = max(self._trace.at(second + ahead) for ahead in range(self._lead + 1))
        return max(1, math.ceil(calls / self._model.calls_per_pod))
