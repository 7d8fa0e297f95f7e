"""Conditions of a PluginSandbox: their types, their form, and how one is set."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import AwareDatetime, Field, StringConstraints

from pluginsandbox.api.model import Model
from pluginsandbox.api.names import MAX_GENERATION, Int32
from pluginsandbox.api.reasons import Reason

MAX_MESSAGE = 4096

ConditionStatus = Literal["True", "False", "Unknown"]


class ConditionType(StrEnum):
    """The conditions that the operator sets; kstatus reads the first three."""

    READY = "Ready"
    RECONCILING = "Reconciling"
    STALLED = "Stalled"
    PLUGINS_LOADED = "PluginsLoaded"
    CONFINED = "Confined"
    SCALING_ACTIVE = "ScalingActive"


CONDITION_MEANINGS = {
    ConditionType.READY: "As many pods as wanted are ready to take calls.",
    ConditionType.RECONCILING: "The last change of the spec or of a source is not rolled out yet.",
    ConditionType.STALLED: "The operator cannot get further by itself; the message says what can.",
    ConditionType.PLUGINS_LOADED: "Every plugin is loaded on every ready pod.",
    ConditionType.CONFINED: "Every ready pod has proven that its plugins are confined.",
    ConditionType.SCALING_ACTIVE: "The number of pods follows the load, as spec.scaling asks.",
}


class Condition(Model):
    """One thing that is true, false or not known of the sandbox."""

    type: Annotated[
        str, StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9]*$", min_length=1, max_length=64)
    ]
    """What this is about, such as Ready."""
    status: ConditionStatus
    """Whether it holds."""
    observed_generation: Annotated[Int32, Field(ge=0, le=MAX_GENERATION)] | None = None
    """Generation of the object that this was found for."""
    last_transition_time: AwareDatetime | None = None
    """When `status` last changed."""
    reason: Annotated[
        str, StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9]*$", min_length=1, max_length=64)
    ]
    """Why, in one word of the documented list of reasons."""
    message: Annotated[str, StringConstraints(max_length=MAX_MESSAGE)] = ""
    """Why, for a person: what was found and what to do."""


def get_condition(conditions: Iterable[Condition], kind: ConditionType) -> Condition | None:
    """Return the condition of that type, or None."""
    return next((condition for condition in conditions if condition.type == kind), None)


def set_condition(
    conditions: Iterable[Condition],
    kind: ConditionType,
    status: ConditionStatus,
    reason: Reason,
    message: str = "",
    *,
    generation: int,
    now: dt.datetime,
) -> tuple[Condition, ...]:
    """Return `conditions` with the one of type `kind` set, in its old place or at the end.

    The time of the last transition moves only with the status, and never back, though somebody
    sets the clock back.

    Args:
        conditions: As they were.
        kind: Which to set.
        status: Whether it holds.
        reason: Why, of the closed list.
        message: Why, for a person; cut at 4096 characters.
        generation: `metadata.generation` of the object that was looked at.
        now: Time of the finding, with a time zone; kept to the second, as the API does.

    """
    old = tuple(conditions)
    previous = get_condition(old, kind)
    moment = now.astimezone(dt.UTC).replace(microsecond=0)
    if previous and previous.last_transition_time:
        earlier = previous.last_transition_time
        moment = earlier if previous.status == status else max(moment, earlier)
    new = Condition(
        type=kind.value,
        status=status,
        observed_generation=generation,
        last_transition_time=moment,
        reason=reason.value,
        message=message if len(message) <= MAX_MESSAGE else message[: MAX_MESSAGE - 1] + "…",
    )
    if previous is None:
        return (*old, new)
    return tuple(new if condition is previous else condition for condition in old)
