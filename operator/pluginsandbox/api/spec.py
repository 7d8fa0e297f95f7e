"""What the author of a sandbox asks for."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from pluginsandbox.api.model import ListMap, Model, Rule
from pluginsandbox.api.names import Int32
from pluginsandbox.api.network import NetworkSettings
from pluginsandbox.api.plugin import Plugin
from pluginsandbox.api.pod import PodSettings
from pluginsandbox.api.quantity import Between, Bytes, Cpu, parse_millicores
from pluginsandbox.api.scaling import Scaling

Confinement = Literal["Strict", "BestEffort"]
OperatingMode = Literal["Running", "Suspended"]


class ContextSettings(Model):
    """How long a context may live."""

    idle_timeout_seconds: Annotated[Int32, Field(ge=1, le=604_800)] = 300
    """Seconds without a call after which a context is reclaimed."""
    deadline_seconds: Annotated[Int32, Field(ge=1, le=604_800)] = 3600
    """Seconds after its first call at which a context is reclaimed at the latest."""


class ResourceRequests(Model):
    """What is set aside for one pod on its node."""

    cpu: Annotated[Cpu, Between("cpu", "1m", "256")] | None = None
    """Processors. Absent: as the operator is configured."""
    memory: Annotated[Bytes, Between("memory", "1Mi", "4096Gi")] | None = None
    """Memory. Absent: all of the computed limit. More than that limit is refused."""


class ResourceLimits(Model):
    """What one pod may use at most. Its memory is computed from the limits of the plugins."""

    cpu: Annotated[Cpu, Between("cpu", "10m", "256")] | None = None
    """Processors. Absent: no limit."""


class Resources(Model):
    """Processors and memory of one pod."""

    requests: ResourceRequests = ResourceRequests()
    limits: ResourceLimits = ResourceLimits()

    rules = (
        Rule(
            cel="!has(self.requests) || !has(self.limits) || !has(self.requests.cpu)"
            " || !has(self.limits.cpu) || !isQuantity(string(self.requests.cpu))"
            " || !isQuantity(string(self.limits.cpu)) || quantity(string(self.requests.cpu))"
            ".compareTo(quantity(string(self.limits.cpu))) <= 0",
            check=lambda item: (
                item.requests.cpu is None
                or item.limits.cpu is None
                or parse_millicores(item.requests.cpu) <= parse_millicores(item.limits.cpu)
            ),
            message="requests.cpu must be at most limits.cpu",
            field=".requests.cpu",
        ),
    )


class HostSettings(Model):
    """The process of each pod that takes calls and supervises the workers."""

    resources: Resources = Resources()
    warm_workers: Annotated[Int32, Field(ge=0, le=64)] = 2
    """Idle workers kept ready for each plugin with isolation PerContext."""
    confinement: Confinement = "Strict"
    """Strict: load nothing where the wall around plugins is incomplete. BestEffort: load, and say
    in the condition Confined what is missing; only where the administrator allows it."""
    queue_timeout_milliseconds: Annotated[Int32, Field(ge=0, le=600_000)] = 30000
    """How long a call may wait for a worker."""
    max_queued_calls: Annotated[Int32, Field(ge=0, le=100_000)] = 1000
    """Calls that may wait in one pod; further ones are answered 429."""
    termination_grace_seconds: Annotated[Int32, Field(ge=1, le=3600)] = 30
    """Time in which a leaving pod finishes its calls and gives its contexts back."""


class SandboxSpec(Model):
    """What is asked for."""

    plugins: Annotated[tuple[Plugin, ...], Field(min_length=1, max_length=16), ListMap()]
    """Plugins of the sandbox."""
    contexts: ContextSettings = ContextSettings()
    host: HostSettings = HostSettings()
    pod: PodSettings = PodSettings()
    network: NetworkSettings = NetworkSettings()
    replicas: Annotated[Int32, Field(ge=0, le=1000)] | None = None
    """Number of pods, set by hand or through the scale subresource. Absent: one pod, or as many as
    scaling says."""
    scaling: Scaling | None = None
    """How the number of pods follows the load, while replicas is absent."""
    operating_mode: OperatingMode = "Running"
    """Suspended: no pods; the object, its Service and its configuration are kept."""
