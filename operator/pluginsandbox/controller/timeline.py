"""Where the time from a new generation to Ready goes: `ready_duration_seconds` by stage.

apply: until our last write of the Deployment. schedule: until a pod has a node. start: until its
host's process runs. load: until the pod is ready. Times are when this process saw each step, since
the objects' own stamps count whole seconds; those stamps stand in for steps that were not seen.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Mapping
from typing import Any

from pluginsandbox.controller.explain import condition, is_ready
from pluginsandbox.controller.trim import Body

STAGES = ("apply", "schedule", "start", "load")


@dataclasses.dataclass(slots=True)
class Timeline:
    """Steps of one generation on its way to Ready.

    Args:
        generation: Of the spec.
        seen: When this process saw it first.
        steps: When each later step was seen, by stage.

    """

    generation: int
    seen: dt.datetime
    steps: dict[str, dt.datetime] = dataclasses.field(default_factory=dict)

    def note(self, pods: list[Body], *, applied: bool, now: dt.datetime) -> None:
        """Take in what is there now.

        Args:
            pods: Of the wanted template.
            applied: Whether the Deployment is as wanted.
            now: Wall clock.

        """
        reached = {
            "apply": applied,
            "schedule": any(condition(pod, "PodScheduled").get("status") == "True" for pod in pods),
            "start": any(_started(pod) for pod in pods),
            "load": any(is_ready(pod) for pod in pods),
        }
        for stage, reaches in reached.items():
            if reaches and stage not in self.steps:
                self.steps[stage] = self._moment(stage, pods, now)

    def shift(self, jump: dt.timedelta) -> None:
        """Move with a clock that was set."""
        self.seen += jump
        self.steps = {stage: moment + jump for stage, moment in self.steps.items()}

    def durations(self) -> Mapping[str, float]:
        """Return the seconds of each stage; empty while a step is missing."""
        if any(stage not in self.steps for stage in STAGES):
            return {}
        durations, before = {}, self.seen
        for stage in STAGES:
            moment = max(before, self.steps[stage])
            durations[stage] = (moment - before).total_seconds()
            before = moment
        return durations

    def _moment(self, stage: str, pods: list[Body], now: dt.datetime) -> dt.datetime:
        """Return when a step was reached: now, unless its stamp is over a second older."""
        stamp = _stamp(stage, pods)
        stale = stamp is not None and (now - stamp).total_seconds() > 1.0
        return max(stamp, self.seen) if stamp is not None and stale else now


def _stamp(stage: str, pods: list[Body]) -> dt.datetime | None:
    kind = {"schedule": "PodScheduled", "load": "Ready"}.get(stage)
    texts = [condition(pod, kind).get("lastTransitionTime") for pod in pods] if kind else []
    if stage == "start":
        texts = [_running(pod).get("startedAt") for pod in pods]
    moments = [dt.datetime.fromisoformat(text) for text in texts if text]
    return min(moments, default=None)


def _started(pod: Body) -> bool:
    return bool(_running(pod))


def _running(pod: Body) -> Mapping[str, Any]:
    for container in pod["status"].get("containerStatuses") or ():
        running: Mapping[str, Any] = (container.get("state") or {}).get("running") or {}
        if running:
            return running
    return {}
