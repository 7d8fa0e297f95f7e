"""Tells whether a change is rolled out, and since when it is not.

Done means: all pods are of the wanted template and at least the minimum was ready, once, for this
generation and template. Later a lost pod or a scaling step no longer makes it a roll-out. What a
restarted operator must know of it is read back from the status and the Deployment.
"""

from __future__ import annotations

import dataclasses
import datetime as dt

from pluginsandbox.api.conditions import ConditionType, get_condition
from pluginsandbox.api.reasons import Reason
from pluginsandbox.controller.children.deployment import STALL_SECONDS, template_hash
from pluginsandbox.controller.decide import Decision
from pluginsandbox.controller.explain import condition, current_pods
from pluginsandbox.controller.observed import Observed, Problem
from pluginsandbox.controller.status import (
    Counts,
    Standing,
    counts,
    is_seen,
    previous_conditions,
)

Target = tuple[int, str, frozenset[Reason]]
_CURED_BY_EDIT = frozenset(
    {Reason.NAME_CONFLICT, Reason.NOT_ALLOWED, Reason.SOURCE_TOO_LARGE, Reason.PLUGIN_INVALID}
    | {Reason.DIGEST_MISMATCH, Reason.CONFINEMENT_IMPOSSIBLE, Reason.SPEC_INVALID}
)
"""Reasons of Stalled that say nothing of how long something took."""


@dataclasses.dataclass(slots=True)
class Memory:
    """What one process remembers of a sandbox between reconciles.

    Args:
        target: Generation, template and what was in the way, when last looked at before the end.
        since: When that began.
        lost: Since when there are too few ready pods although all was rolled out.
        done: The same when it was rolled out last.

    """

    target: Target | None = None
    since: dt.datetime | None = None
    lost: dt.datetime | None = None
    done: Target | None = None

    def shift(self, jump: dt.timedelta) -> None:
        """Move with a clock that was set."""
        self.since = None if self.since is None else self.since + jump
        self.lost = None if self.lost is None else self.lost + jump


def standing(
    memory: Memory,
    observed: Observed,
    decision: Decision,
    blocking: tuple[Problem, ...],
    *,
    waiting: bool = False,
) -> Standing:
    """Return where the sandbox stands, and remember it.

    Args:
        memory: Of this process.
        observed: What was seen, our own last writes included.
        decision: What should be.
        blocking: What keeps the children from being as decided.
        waiting: Whether one of them is still to be written: pods that are as they should be may
            not have been asked for.

    """
    reasons = frozenset(problem.reason for problem in blocking)
    target = (observed.sandbox.metadata.generation, decision.template, reasons)
    written = not waiting or memory.done == target or _was_done(observed)
    rolled_out = not blocking and written and _rolled_out(memory, target, observed, decision)
    # A predecessor's clock may have been ahead.
    since = min(_since(memory, target, observed, rolled_out=rolled_out), observed.now)
    if rolled_out:
        memory.target, memory.since, memory.done = None, None, target
    else:
        memory.target, memory.since = target, since
    return Standing(rolled_out=rolled_out, since=since)


def _rolled_out(memory: Memory, target: Target, observed: Observed, decision: Decision) -> bool:
    live = observed.deployment
    if live is None or not decision.template or template_hash(live) != decision.template:
        return False
    seen = is_seen(live)
    pods = counts(observed, decision)
    if pods.desired == 0:
        return seen and pods.replicas == 0 and not observed.pods
    if memory.done == target or (seen and _was_done(observed)):
        return True
    same_template = memory.done is not None and memory.done[1] == decision.template
    return (seen or same_template or _no_old_pod(observed, decision)) and _all_new(pods)


def _all_new(pods: Counts) -> bool:
    return pods.updated == pods.replicas > 0 and pods.ready >= pods.minimum


def _no_old_pod(observed: Observed, decision: Decision) -> bool:
    """Tell whether what changed is the number of pods alone, before the Deployment says so."""
    staying = [pod for pod in observed.pods if not pod["metadata"].get("deletionTimestamp")]
    return bool(staying) and len(current_pods(observed, decision.template)) == len(staying)


def _was_done(observed: Observed) -> bool:
    """Tell whether the roll-out was done before this process looked: both controllers say so."""
    known = get_condition(previous_conditions(observed.status), ConditionType.RECONCILING)
    progress = condition(observed.deployment or {}, "Progressing")
    return (
        known is not None
        and known.reason == Reason.ROLLED_OUT
        and known.observed_generation == observed.sandbox.metadata.generation
        and progress.get("reason") == "NewReplicaSetAvailable"
    )


def _since(memory: Memory, target: Target, observed: Observed, *, rolled_out: bool) -> dt.datetime:
    known = previous_conditions(observed.status)
    if rolled_out:
        ready = get_condition(known, ConditionType.READY)
        if ready is None or ready.status != "False":
            memory.lost = None
            return observed.now
        memory.lost = memory.lost or ready.last_transition_time or observed.now
        return memory.lost
    if memory.target == target and memory.since is not None:
        return memory.since
    generation = observed.sandbox.metadata.generation
    if memory.target is None and observed.status.get("observedGeneration") == generation:
        reconciling = get_condition(known, ConditionType.RECONCILING)
        if reconciling is not None and reconciling.status == "True":
            return reconciling.last_transition_time or observed.now
        stalled = get_condition(known, ConditionType.STALLED)
        if (
            stalled is not None
            and stalled.status == "True"
            and stalled.reason not in _CURED_BY_EDIT
            and stalled.last_transition_time is not None
        ):
            return stalled.last_transition_time - dt.timedelta(seconds=STALL_SECONDS)
    return observed.now
