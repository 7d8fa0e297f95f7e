"""What scaling adds to the status: ScalingActive and the last step. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from pluginsandbox.api.conditions import (
    Condition,
    ConditionStatus,
    ConditionType,
    get_condition,
)
from pluginsandbox.api.reasons import Reason
from pluginsandbox.api.status import ScalingStatus
from pluginsandbox.controller import explain
from pluginsandbox.controller.observed import Observed

Verdict = tuple[ConditionStatus, Reason, str]


def active(observed: Observed, ready: int, known: Iterable[Condition]) -> Verdict | None:
    """Return whether the load decides; None where nobody asked for it.

    Args:
        observed: What was seen.
        ready: Pods that take calls.
        known: The conditions as last written.

    """
    spec, scaling = observed.sandbox.spec, observed.sandbox.spec.scaling
    if scaling is None:
        return None
    if spec.operating_mode == "Suspended":
        return "False", Reason.SUSPENDED, "there are no pods to scale"
    if spec.replicas is not None:
        return "False", Reason.MANUAL_REPLICAS, _manual(observed, spec.replicas)
    if scaling.paused == "Both":
        return (
            "False",
            Reason.SCALING_PAUSED,
            "spec.scaling.paused is Both: set it to None to go on",
        )
    if not scaling.on:
        pods = explain.count(scaling.min_replicas, "pod")
        message = f"always {pods}: set maxReplicas above minReplicas"
        return "False", Reason.FIXED_REPLICAS, message
    return _of_autoscaler(observed, ready, known)


def told(observed: Observed) -> ScalingStatus | None:
    """Return the last step: of this process, else as it was last written."""
    if observed.sandbox.spec.scaling is None:
        return None
    if observed.scaled is not None and observed.scaled.last is not None:
        return ScalingStatus(last_decision=observed.scaled.last)
    try:
        return ScalingStatus.model_validate(observed.status.get("scaling") or {})
    except ValueError:
        return ScalingStatus()


def _manual(observed: Observed, replicas: int) -> str:
    key = observed.key
    end = f"kubectl patch psb {key.name} -n {key.namespace} --type merge"
    return (
        f"spec.replicas holds {explain.count(replicas, 'pod')}; to let the load decide again, "
        f'remove it from the manifest and run: {end} -p \'{{"spec":{{"replicas":null}}}}\''
    )


def _as_before(known: Iterable[Condition]) -> Verdict | None:
    """Return the autoscaler's last word: a new operator does not take it back before it looks."""
    last = get_condition(known, ConditionType.SCALING_ACTIVE)
    if last is None or last.status == "False":
        return None
    return last.status, Reason(last.reason), last.message


def _of_autoscaler(observed: Observed, ready: int, known: Iterable[Condition]) -> Verdict:
    scaled = observed.scaled
    if not ready:
        return "Unknown", Reason.NO_PODS, "no pod is ready"
    if scaled is None:
        return _as_before(known) or ("Unknown", Reason.PROGRESSING, "the first look is under way")
    if scaled.blind:
        message = (
            f"/stats of {explain.count(ready, 'ready pod')} cannot be read, so there stay "
            f"{scaled.desired}; let the operator's namespace reach port 9090 of sandbox pods"
        )
        return "Unknown", Reason.HOSTS_UNREACHABLE, message
    policy = scaled.policy
    limit = f"; limited by {scaled.limit}" if scaled.limit else ""
    message = f"from {policy.min_replicas} to {policy.most} pods{limit}"
    if policy.paused != "None":
        message += f"; paused: {policy.paused}"
    return "True", Reason.FOLLOWS_LOAD, message
