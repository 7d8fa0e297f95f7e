"""What the operator reports."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AwareDatetime, Field, StringConstraints

from pluginsandbox.api.conditions import Condition
from pluginsandbox.api.model import ListMap, Model
from pluginsandbox.api.names import MAX_GENERATION, Int32, Name

PluginState = Literal["Pending", "Loaded", "Failed"]

Count = Annotated[Int32, Field(ge=0, le=2**31 - 1)]
Word = Annotated[str, StringConstraints(max_length=64)]


class PluginStatus(Model):
    """How one plugin fares."""

    name: Name
    """Name of the plugin."""
    digest: Annotated[str, StringConstraints(max_length=128)] | None = None
    """Digest of the files that were loaded."""
    state: PluginState | None = None
    """The worst of all ready pods: Failed, then Pending, then Loaded."""
    loaded_replicas: Count | None = None
    """Pods in which it is loaded."""
    message: Annotated[str, StringConstraints(max_length=1024)] | None = None
    """Why it is not loaded."""


class LastDecision(Model):
    """A step of the autoscaler, and what it was made from."""

    time: AwareDatetime
    """When."""
    before: Annotated[Count, Field(alias="from")]
    """Pods that were wanted before."""
    to: Count
    """Pods that are wanted since."""
    reason: Word
    """What decided, such as Surge, Load or Schedule."""
    limited_by: Word = "None"
    """What kept it from going all the way, such as MaxReplicas."""
    inputs: Annotated[
        dict[str, Annotated[Int32, Field(ge=0, le=MAX_GENERATION)]], Field(max_length=16)
    ]
    """What it was made from, in thousandths."""
    revision: Annotated[str, StringConstraints(max_length=256)] | None = None
    """Of the policy in Git, where annotation pluginsandbox.dev/revision has it."""


class ScalingStatus(Model):
    """What the autoscaler did."""

    last_decision: LastDecision | None = None
    """The last step."""


class SandboxStatus(Model):
    """What was found. Nothing in it is required."""

    observed_generation: Annotated[Int32, Field(ge=-1, le=MAX_GENERATION)] | None = None
    """Generation of the spec that the rest is about; -1 until the operator has seen the object."""
    conditions: Annotated[tuple[Condition, ...], Field(max_length=16), ListMap(("type",))] = ()
    """What is true of the sandbox; Ready sums it up."""
    replicas: Count | None = None
    """Pods that exist."""
    ready_replicas: Count | None = None
    """Pods that take calls."""
    desired_replicas: Count | None = None
    """Pods that are wanted."""
    selector: Annotated[str, StringConstraints(max_length=512)] | None = None
    """Label selector of the pods, for the scale subresource."""
    endpoint: Annotated[str, StringConstraints(max_length=512)] | None = None
    """Where to call the plugins from within the cluster."""
    plugins: Annotated[tuple[PluginStatus, ...], Field(max_length=16), ListMap()] = ()
    """How each plugin fares."""
    scaling: ScalingStatus | None = None
    """What the autoscaler did."""
