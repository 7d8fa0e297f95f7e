"""Runs an autoscaler against a trace, and tells how well it did.

Once a second it gets the sample of the second that is over; what it wants begins at once. The same
loop runs ours, and in `make bench-scaling` the others.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Sequence
from typing import Protocol

from pluginsandbox.api.scaling import Scaling
from pluginsandbox.autoscaler.core import Autoscaler, Seen
from pluginsandbox.autoscaler.decide import Answer, Pods
from pluginsandbox.autoscaler.fleet import STEP, Fleet, Queue
from pluginsandbox.autoscaler.numbers import MILLI
from pluginsandbox.autoscaler.sample import Sample
from pluginsandbox.autoscaler.trace import Trace

STEPS = round(1 / STEP)
LEAST_WAITING = 0.01
"""Calls. Where they pile up, a queue never ends quite."""


@dataclasses.dataclass(frozen=True, slots=True)
class Model:
    """The sandbox that is simulated.

    Args:
        replicas: Pods at the beginning, ready.
        start_seconds: How long a pod takes to start.
        calls_per_pod: Calls that a pod serves at once: the policy's target.
        call_seconds: How long a call takes, where calls are to pile up (`fleet.Queue`).
        begins: Unix time of the trace's beginning.

    """

    replicas: int
    start_seconds: float
    calls_per_pod: int
    call_seconds: float | None = None
    begins: int = 0


class Scaler(Protocol):
    """Whatever says how many pods are wanted."""

    def tick(self, now: int, sample: Sample | None, pods: Pods, /) -> int:
        """Return how many, given the second that is over (None: it could not be read)."""


@dataclasses.dataclass(frozen=True, slots=True)
class Second:
    """One second of a run; means, but for `desired`, which is wanted at its end."""

    demand: float
    capacity: float
    ready: float
    pods: float
    waiting: float
    short: float
    """Share of it in which capacity lacked."""
    wasted: float
    """Pods beyond what the demand needed."""
    desired: int


@dataclasses.dataclass(frozen=True, slots=True)
class Figures:
    """How well it went.

    Args:
        time_to_capacity_seconds: The longest time for which capacity lacked; None if it lacks at
            the end and was never longer.
        waiting_call_seconds: Calls that waited, times the time they did.
        pod_seconds: Pods, starting or ready, times the time they were there.
        wasted_pod_seconds: Of these, what was beyond the pods that the demand needed then.
        reversals: How often the number of pods turned from growing to shrinking, or back.
        peak: Most pods wanted.

    """

    time_to_capacity_seconds: float | None
    waiting_call_seconds: float
    pod_seconds: float
    wasted_pod_seconds: float
    reversals: int
    peak: int


class Ours:
    """Our autoscaler, and what it decided.

    Args:
        policy: What it goes by.

    """

    def __init__(self, policy: Scaling) -> None:
        self.decisions: list[Seen] = []
        self._core = Autoscaler(policy)
        self._before: Answer | None = None

    def tick(self, now: int, sample: Sample | None, pods: Pods) -> int:
        """Decide, and keep what is a decision: an answer unlike the one before."""
        seen = self._core.tick(now, sample, pods)
        if seen.answer != self._before:
            self.decisions.append(seen)
        self._before = seen.answer
        return seen.answer.desired


def run(trace: Trace, model: Model, scaler: Scaler) -> list[Second]:
    """Return what became of each second of the trace."""
    fleet = Fleet(model.replicas, model.start_seconds)
    queue = Queue(model.call_seconds, trace.at(0))
    seconds: list[Second] = []
    for second in range(trace.seconds):
        before, first = queue.calls, second == 0
        found = _pass(trace, model, fleet, queue, second)
        sample = _sample(model, found, second, queue.calls - (0.0 if first else before))
        end = second + 1
        ready = fleet.ready(end)
        pods = Pods(len(fleet), ready, len(fleet) - ready, round(model.start_seconds * MILLI))
        readable = trace.readable_at(second)
        wanted = scaler.tick(model.begins + end, sample if readable else None, pods)
        fleet.scale(wanted, end)
        seconds.append(dataclasses.replace(found, desired=wanted))
    return seconds


def _pass(trace: Trace, model: Model, fleet: Fleet, queue: Queue, second: int) -> Second:
    """Let a second pass in small steps; return its means."""
    parts: list[Second] = []
    for step in range(STEPS):
        now = second + step * STEP
        demand, ready = trace.at(now + STEP / 2), fleet.ready(now)
        places = ready * model.calls_per_pod
        calls = queue.move(demand, places, STEP)
        needed = -(-demand // model.calls_per_pod)
        waiting = max(0.0, calls - places)
        parts.append(
            Second(
                demand=calls,
                capacity=places,
                ready=ready,
                pods=len(fleet),
                waiting=waiting,
                short=float(waiting > LEAST_WAITING),
                wasted=max(0.0, len(fleet) - needed),
                desired=0,
            )
        )
    names = [field.name for field in dataclasses.fields(Second) if field.name != "desired"]
    means = {name: sum(getattr(part, name) for part in parts) / STEPS for name in names}
    return Second(**means, desired=0)


def _sample(model: Model, found: Second, second: int, growth: float) -> Sample:
    """Return what hosts tell of it. A trace of what is there says nothing of what came."""
    concurrency = round(found.demand * MILLI)
    requests = 0.0
    if model.call_seconds is not None:
        requests = (found.demand - found.waiting) / model.call_seconds + growth
    return Sample(
        time=model.begins + second + 1,
        concurrency=concurrency,
        queued=min(concurrency, round(found.waiting * MILLI)),
        requests=max(0, round(requests * MILLI)),
    )


def figures(seconds: Sequence[Second], replicas: int) -> Figures:
    """Sum a run up.

    Args:
        seconds: The run.
        replicas: Pods at the beginning.

    """
    wanted = [replicas, *(second.desired for second in seconds)]
    return Figures(
        time_to_capacity_seconds=_longest_shortage(seconds),
        waiting_call_seconds=round(sum(second.waiting for second in seconds), 3),
        pod_seconds=round(sum(second.pods for second in seconds), 3),
        wasted_pod_seconds=round(sum(second.wasted for second in seconds), 3),
        reversals=_reversals(wanted),
        peak=max(wanted),
    )


def _longest_shortage(seconds: Sequence[Second]) -> float | None:
    longest = current = 0.0
    for second in seconds:
        current += second.short
        longest = max(longest, current)
        current = current if second.short == 1 else 0.0
    return None if 0 < longest == current else round(longest, 3)


def _reversals(wanted: Sequence[int]) -> int:
    signs = [after > before for before, after in itertools.pairwise(wanted) if after != before]
    return sum(after != before for before, after in itertools.pairwise(signs))
