"""From what was observed and decided to the status of a PluginSandbox: pure, kstatus's rules.

- Reconciling is True only while a generation or a snapshot is not rolled out.
- Ready is Unknown while Reconciling, else it says whether enough pods are ready.
- Stalled is True for what only an edit cures, or for anything that takes longer than 120 s; then
  Reconciling is False, since kstatus looks at Reconciling first.
- What hosts tell explains; only the readiness of pods decides.
"""

from __future__ import annotations

import dataclasses
import datetime as dt

from pydantic import TypeAdapter

from pluginsandbox.api.conditions import (
    Condition,
    ConditionStatus,
    ConditionType,
    get_condition,
    set_condition,
)
from pluginsandbox.api.reasons import Reason
from pluginsandbox.api.status import SandboxStatus
from pluginsandbox.controller import explain, hosts_say, scaling_say
from pluginsandbox.controller.children import service
from pluginsandbox.controller.children.common import selector
from pluginsandbox.controller.children.deployment import STALL_SECONDS
from pluginsandbox.controller.decide import DEFAULT_REPLICAS, Decision, least_replicas
from pluginsandbox.controller.observed import Observed, Problem
from pluginsandbox.controller.trim import Body

_CONDITIONS = TypeAdapter(tuple[Condition, ...])
Verdict = tuple[ConditionStatus, Reason, str]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Where a sandbox stands between two reconciles.

    Args:
        rolled_out: Whether all pods are of the wanted template and enough of them got ready once.
        since: When the present trouble or roll-out began, as far as is known.

    """

    rolled_out: bool
    since: dt.datetime


@dataclasses.dataclass(frozen=True, slots=True)
class Counts:
    """Pods: new ones as soon as they are seen, gone ones once the Deployment says so."""

    desired: int
    replicas: int
    updated: int
    ready: int
    least: int = DEFAULT_REPLICAS

    @property
    def minimum(self) -> int:
        """Pods that must be ready."""
        return min(self.desired, self.least)


def counts(observed: Observed, decision: Decision) -> Counts:
    """Return how many pods there are."""
    least = least_replicas(observed.sandbox)
    if observed.deployment is None:
        return Counts(decision.replicas, 0, 0, 0, least)
    status = observed.deployment.get("status") or {}
    numbers = [int(status.get(name) or 0) for name in _COUNTED]
    if is_seen(observed.deployment):  # else what is there may not be what was asked for last
        numbers = list(map(max, numbers, _seen(observed, decision.template)))
    replicas, updated, ready = numbers
    return Counts(decision.replicas, replicas, updated, ready, least)


def is_seen(deployment: Body) -> bool:
    """Tell whether the Deployment's controller has seen what was asked for last."""
    status = deployment.get("status") or {}
    generation = int(deployment["metadata"].get("generation", 0))
    return int(status.get("observedGeneration") or 0) >= generation


def _seen(observed: Observed, template: str) -> tuple[int, int, int]:
    """Return how many pods a controller made, are of the template, and of these are ready."""
    current = [pod for pod in explain.current_pods(observed, template) if _is_made(pod)]
    return sum(map(_is_made, observed.pods)), len(current), sum(map(explain.is_ready, current))


def _is_made(pod: Body) -> bool:
    """Tell whether a pod is one of a controller's, not made by hand under our label, and stays."""
    metadata = pod["metadata"]
    owned = any(each.get("controller") for each in metadata.get("ownerReferences") or ())
    over = metadata.get("deletionTimestamp") or pod["status"].get("phase") in _OVER
    return owned and not over


_OVER = frozenset({"Failed", "Succeeded"})
_BY_HOSTS = {
    ConditionType.PLUGINS_LOADED: Reason.ALL_LOADED,
    ConditionType.CONFINED: Reason.PROVEN,
}
"""What hosts tell, and how it is well."""
_COUNTED = ("replicas", "updatedReplicas", "readyReplicas")


def report(
    observed: Observed, decision: Decision, blocking: tuple[Problem, ...], standing: Standing
) -> SandboxStatus:
    """Return the status.

    Args:
        observed: What was seen, our own last writes included.
        decision: What should be.
        blocking: What keeps the children from being as decided.
        standing: Whether the change is rolled out, and since when it is not.

    """
    pods = counts(observed, decision)
    verdicts = _verdicts(observed, decision, blocking, standing, pods)
    verdicts |= {
        ConditionType.PLUGINS_LOADED: hosts_say.plugins_loaded(observed, decision),
        ConditionType.CONFINED: hosts_say.confined(observed, decision),
    }
    kept = _kept(observed)
    verdicts |= kept
    scaling = scaling_say.active(observed, pods.ready, previous_conditions(observed.status))
    verdicts |= {ConditionType.SCALING_ACTIVE: scaling} if scaling else {}
    return SandboxStatus(
        observed_generation=observed.sandbox.metadata.generation,
        conditions=_conditions(observed, verdicts),
        replicas=pods.replicas,
        ready_replicas=pods.ready,
        desired_replicas=pods.desired,
        selector=",".join(f"{key}={value}" for key, value in selector(observed.sandbox).items()),
        endpoint=service.endpoint(observed.sandbox),
        plugins=_known(observed.status).plugins if kept else hosts_say.plugins(observed, decision),
        scaling=scaling_say.told(observed),
    )


def unreadable(status: Body, message: str, *, generation: int, now: dt.datetime) -> SandboxStatus:
    """Return the status of an object whose spec the operator cannot read."""
    verdicts = _stalled(Reason.SPEC_INVALID, message)
    return _with_verdicts(status, verdicts, generation=generation, now=now)


def trouble(status: Body, problem: Problem, *, generation: int, now: dt.datetime) -> SandboxStatus:
    """Return the status of a sandbox on which the operator itself fails, the rest as it was."""
    known = get_condition(previous_conditions(status), ConditionType.RECONCILING)
    began = known.last_transition_time if known and known.reason == problem.reason else None
    stalled = get_condition(previous_conditions(status), ConditionType.STALLED)
    still = stalled is not None and (stalled.status, stalled.reason) == ("True", problem.reason)
    late = still or (began is not None and (now - began).total_seconds() >= STALL_SECONDS)
    if late:
        verdicts = _stalled(problem.reason, problem.message)
    else:
        verdicts = _progressing(problem, Counts(0, 0, 0, 0))
    return _with_verdicts(status, verdicts, generation=generation, now=now)


def _kept(observed: Observed) -> dict[ConditionType, Verdict]:
    """Return what hosts told a predecessor, while this process may only have asked too early."""
    if not observed.unsure:
        return {}
    known = previous_conditions(observed.status)
    generation = observed.sandbox.metadata.generation
    kept: dict[ConditionType, Verdict] = {}
    for kind, well in _BY_HOSTS.items():
        last = get_condition(known, kind)
        if last is None or (last.reason, last.observed_generation) != (well, generation):
            return {}
        kept[kind] = (last.status, well, last.message)
    return kept


def _known(status: Body) -> SandboxStatus:
    """Return the status that was last written; an empty one if it cannot be read."""
    try:
        return SandboxStatus.model_validate(status)
    except ValueError:
        return SandboxStatus()


def _with_verdicts(
    status: Body, verdicts: dict[ConditionType, Verdict], *, generation: int, now: dt.datetime
) -> SandboxStatus:
    conditions = previous_conditions(status)
    for kind, (state, reason, text) in verdicts.items():
        conditions = set_condition(
            conditions, kind, state, reason, text, generation=generation, now=now
        )
    update = {"observed_generation": generation, "conditions": conditions}
    return _known(status).model_copy(update=update)


def recheck_seconds(standing: Standing, status: SandboxStatus, now: dt.datetime) -> float | None:
    """Return in how many seconds time alone may change the status, or None."""
    conditions = {each.type: each.status for each in status.conditions}
    settled = standing.rolled_out and conditions.get(ConditionType.READY) == "True"
    if settled or conditions.get(ConditionType.STALLED) == "True":
        return None
    return max(0.0, STALL_SECONDS - (now - standing.since).total_seconds())


def previous_conditions(status: Body) -> tuple[Condition, ...]:
    """Return the conditions that were last written; none if they cannot be read."""
    try:
        return _CONDITIONS.validate_python(status.get("conditions") or ())
    except ValueError:
        return ()


def _verdicts(
    observed: Observed,
    decision: Decision,
    blocking: tuple[Problem, ...],
    standing: Standing,
    pods: Counts,
) -> dict[ConditionType, Verdict]:
    late = (observed.now - standing.since).total_seconds() >= STALL_SECONDS
    enough = standing.rolled_out and pods.ready >= pods.minimum
    of_pods = explain.problems(observed, decision.template)
    problems = [*blocking, *([] if enough else of_pods)]
    first = min(problems, key=lambda problem: not problem.edit, default=None)
    if first is not None and first.edit:
        return _stalled(first.reason, first.message)
    if not standing.rolled_out:
        if late:
            return _late(first, _progress(pods))
        return _progressing(first, pods)
    if pods.ready < pods.desired:
        first = next(iter(of_pods), None)
    return _settled(observed, decision, first, pods, late=late)


def _stalled(reason: Reason, message: str) -> dict[ConditionType, Verdict]:
    return {
        ConditionType.READY: ("False", reason, message),
        ConditionType.RECONCILING: ("False", Reason.STALLED, "see the condition Stalled"),
        ConditionType.STALLED: ("True", reason, message),
    }


def _late(first: Problem | None, progress: str) -> dict[ConditionType, Verdict]:
    if first is None:
        return _stalled(
            Reason.TIMED_OUT,
            f"not rolled out after {STALL_SECONDS} s: {progress}; look at the pods",
        )
    return _stalled(first.reason, first.message)


def _progressing(first: Problem | None, pods: Counts) -> dict[ConditionType, Verdict]:
    if first is not None:
        reason, message = first.reason, first.message
    elif pods.desired == 0:
        reason, message = Reason.STOPPING, f"{pods.replicas} pods are left"
    else:
        reason, message = Reason.ROLLING_OUT, _progress(pods)
    ready: Verdict = ("Unknown", Reason.PROGRESSING, message)
    if reason is Reason.SOURCE_NOT_LABELLED:
        ready = ("False", reason, message)
    return {
        ConditionType.READY: ready,
        ConditionType.RECONCILING: ("True", reason, message),
        ConditionType.STALLED: ("False", Reason.NOT_STALLED, ""),
    }


def _settled(
    observed: Observed, decision: Decision, first: Problem | None, pods: Counts, *, late: bool
) -> dict[ConditionType, Verdict]:
    ready: Verdict
    if pods.desired == 0:
        suspended = observed.sandbox.spec.operating_mode == "Suspended"
        ready = (
            ("True", Reason.SUSPENDED, "there are no pods; set operatingMode: Running to resume")
            if suspended
            else ("True", Reason.SCALED_TO_ZERO, "there are no pods, as replicas is 0")
        )
    elif pods.ready >= pods.minimum:
        lacking = first.message if first else ""
        notes = "".join(f"; {each}" for each in (lacking, decision.note) if each)
        ready = ("True", Reason.AVAILABLE, f"{pods.ready} of {pods.desired} pods are ready{notes}")
    else:
        why = f": {first.message}" if first else ""
        message = f"{pods.ready} of {pods.desired} pods are ready{why}"
        if late:
            return _stalled(first.reason if first else Reason.TIMED_OUT, message)
        ready = ("False", Reason.PODS_NOT_READY, message)
    return {
        ConditionType.READY: ready,
        ConditionType.RECONCILING: ("False", Reason.ROLLED_OUT, ""),
        ConditionType.STALLED: ("False", Reason.NOT_STALLED, ""),
    }


def _progress(pods: Counts) -> str:
    return f"{pods.updated} of {pods.desired} pods are new, {pods.ready} are ready"


def _conditions(
    observed: Observed, verdicts: dict[ConditionType, Verdict]
) -> tuple[Condition, ...]:
    conditions: tuple[Condition, ...] = ()
    known = previous_conditions(observed.status)
    for kind in verdicts:
        conditions += tuple(each for each in known if each.type == kind)
    for kind, (state, reason, message) in verdicts.items():
        conditions = set_condition(
            conditions,
            kind,
            state,
            reason,
            message,
            generation=observed.sandbox.metadata.generation,
            now=observed.now,
        )
    return conditions
