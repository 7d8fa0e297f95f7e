"""The decision: from what is needed to how many pods are wanted, one rule after another.

The order is fixed: load, forecast, delay, bounds, tolerance, rate, bounds again, pause. Steps count
from the pods that were wanted before, not from those that are ready: pods on their way are on their
way, and a surge that calms down takes them back first.
"""

from __future__ import annotations

import dataclasses
import enum

from pluginsandbox.api.scaling import Scaling
from pluginsandbox.autoscaler import schedules
from pluginsandbox.autoscaler.forecast import NOTHING, Outlook
from pluginsandbox.autoscaler.need import Need
from pluginsandbox.autoscaler.numbers import MILLI, clamp, divide_up


class Direction(enum.StrEnum):
    """Where the number of pods goes."""

    UP = "Up"
    DOWN = "Down"
    HOLD = "Hold"


class Reason(enum.StrEnum):
    """What decided."""

    SURGE = "Surge"
    QUEUE = "Queue"
    LOAD = "Load"
    FORECAST = "Forecast"
    SCHEDULE = "Schedule"
    MINIMUM = "Minimum"
    MAXIMUM = "Maximum"
    STEADY = "Steady"
    PAUSED = "Paused"
    HOSTS_UNREACHABLE = "HostsUnreachable"


class Limit(enum.StrEnum):
    """What kept the answer from going all the way."""

    NONE = "None"
    MAX_REPLICAS = "MaxReplicas"
    SCALE_DOWN_DELAY = "ScaleDownDelay"
    PODS_STARTING = "PodsStarting"
    SCALE_UP_RATE = "ScaleUpRate"
    SCALE_DOWN_RATE = "ScaleDownRate"
    PAUSED = "Paused"


@dataclasses.dataclass(frozen=True, slots=True)
class Pods:
    """The pods at a moment.

    Args:
        requested: How many are wanted so far: the live Deployment's `spec.replicas`.
        ready: How many take calls.
        coming: How many are on their way; one that is overdue (`startup`) is not.
        start_milliseconds: How long one takes to start, as `startup` learns it.

    """

    requested: int
    ready: int
    coming: int
    start_milliseconds: int


@dataclasses.dataclass(frozen=True, slots=True)
class Facts:
    """All that a decision is made from, beside the policy.

    Args:
        now: Unix time in seconds.
        pods: The pods.
        need: What the newest second asks for; None while hosts cannot be read.
        standing: Thousandths of pods that a standing queue asks for (`demand.standing`).
        waiting: Whether calls wait.
        held: Most pods that were needed within the scale-down delay.
        covered: Whether that delay was seen: no pods are removed for what nobody saw.
        outlook: What is expected.

    """

    now: int
    pods: Pods
    need: Need | None
    standing: int = 0
    waiting: bool = False
    held: int = 0
    covered: bool = False
    outlook: Outlook = NOTHING


@dataclasses.dataclass(frozen=True, slots=True)
class Answer:
    """How many pods are wanted, and why.

    Args:
        desired: How many.
        direction: Compared with those wanted before.
        reason: What decided.
        limit: What kept the answer from going all the way.
        schedule: Name of the schedule that decided, if one did.

    """

    desired: int
    direction: Direction
    reason: Reason
    limit: Limit
    schedule: str = ""


def decide(policy: Scaling, facts: Facts) -> Answer:
    """Return how many pods are wanted."""
    least, schedule = schedules.floor(policy, facts.now)
    requested = facts.pods.requested
    wanted, reason = _wanted(facts)
    bounded, reason, limit = _bounded(policy, least, facts, wanted, reason)
    if reason is Reason.MINIMUM and schedule:
        reason = Reason.SCHEDULE
    desired, limit = _stepped(policy, least, requested, bounded, limit)
    if _paused(policy, requested, desired):
        return Answer(requested, Direction.HOLD, Reason.PAUSED, Limit.PAUSED)
    direction = _direction(requested, desired)
    if direction is Direction.HOLD and reason in _LOAD:
        reason = Reason.STEADY
        limit = limit if limit is Limit.MAX_REPLICAS else Limit.NONE
    return Answer(desired, direction, reason, limit, schedule if reason is Reason.SCHEDULE else "")


_LOAD = frozenset({Reason.SURGE, Reason.QUEUE, Reason.LOAD, Reason.FORECAST})


def _wanted(facts: Facts) -> tuple[int, Reason]:
    """Return what the load asks for, seen or expected."""
    if facts.need is None:
        return facts.pods.requested, Reason.HOSTS_UNREACHABLE
    load = Reason.SURGE if facts.need.surge else Reason.LOAD
    expected = facts.outlook.milli_pods if facts.outlook.trusted else 0
    asked = (
        (facts.need.pods, load),
        (divide_up(facts.standing, MILLI), Reason.QUEUE),
        (divide_up(expected, MILLI), Reason.FORECAST),
    )
    return max(asked, key=lambda one: one[0])


def _bounded(
    policy: Scaling, least: int, facts: Facts, wanted: int, reason: Reason
) -> tuple[int, Reason, Limit]:
    """Keep what was needed a moment ago and what calls wait for; then the bounds."""
    requested, limit = facts.pods.requested, Limit.NONE
    held = facts.held if facts.covered else max(facts.held, requested)
    if facts.need is not None and held > wanted:
        wanted, limit = held, Limit.SCALE_DOWN_DELAY
    if facts.waiting and facts.pods.coming and wanted < requested:
        wanted, limit = requested, Limit.PODS_STARTING
    if wanted > policy.most:
        why = Reason.MAXIMUM if requested > policy.most else reason
        return policy.most, why, Limit.MAX_REPLICAS
    if wanted < least:
        return least, Reason.MINIMUM, limit
    return wanted, reason, limit


def _stepped(
    policy: Scaling, least: int, requested: int, wanted: int, limit: Limit
) -> tuple[int, Limit]:
    """Pass over a small change and cut a large one; the bounds hold in any case."""
    small = abs(wanted - requested) * 100 < requested * policy.tolerance_percent
    if small and least <= requested <= policy.most:
        return requested, limit
    up = requested + max(1, requested * policy.rates.up_percent // 100)
    down = requested - max(1, requested * policy.rates.down_percent // 100)
    stepped = clamp(wanted, down, up)
    desired = clamp(stepped, least, policy.most)
    if desired < wanted:
        return desired, Limit.SCALE_UP_RATE
    return desired, Limit.SCALE_DOWN_RATE if desired > wanted else limit


def _paused(policy: Scaling, requested: int, desired: int) -> bool:
    match policy.paused:
        case "Both":
            return True
        case "ScaleUp":
            return desired > requested
        case "ScaleDown":
            return desired < requested
        case "None":
            return False


def _direction(requested: int, desired: int) -> Direction:
    if desired == requested:
        return Direction.HOLD
    return Direction.UP if desired > requested else Direction.DOWN
