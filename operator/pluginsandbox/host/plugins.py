"""A plugin as one host sees it: its configuration, how far its loading came, and its counters."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pluginsandbox.api.host_config import PluginConfig
from pluginsandbox.host.runtime import Prepared
from pluginsandbox.telemetry.host_metrics import HostMetrics
from pluginsandbox.telemetry.series import Durations

if TYPE_CHECKING:
    from pluginsandbox.host.pool import Pool

LoadState = Literal["Pending", "Loaded", "Failed"]


class Plugin:
    """One of the sandbox's plugins.

    Args:
        index: Its place in the configuration.
        config: What the operator says of it.
        metrics: Where its calls are counted.

    """

    def __init__(self, index: int, config: PluginConfig, metrics: HostMetrics) -> None:
        self.index = index
        self.config = config
        self.name = config.name
        self.timeout_microseconds = config.limits.call_timeout_milliseconds * 1000
        self.timeout_seconds = config.limits.call_timeout_milliseconds / 1000
        self.state: LoadState = "Pending"
        self.reason = "Loading"
        """Why it is not loaded: Loading, or a reason of `PrepareError`, or Unexpected."""
        self.message = "it is being verified and loaded"
        """The same for a person, with the way out."""
        self.prepared: Prepared | None = None
        self.pool: Pool | None = None
        self.functions: dict[str, int] = {}
        self.bindings = 0
        """How many contexts it is bound in; those that are being given back count."""
        self.calls = 0
        """Its calls in the host, those that wait included."""
        self.queued = 0
        """Those that wait for a worker."""
        self.durable_bytes = 0
        """Held of its durable slots, of all contexts."""
        self.metrics = metrics
        self._durations: dict[tuple[int, str], Durations] = {}
        metrics.bindings(self.name).set_function(lambda: self.bindings)
        metrics.inflight_calls(self.name).set_function(lambda: self.calls - self.queued)
        metrics.queued_calls(self.name).set_function(lambda: self.queued)
        metrics.durable_bytes(self.name).set_function(lambda: self.durable_bytes)

    @property
    def artefact(self) -> Prepared:
        """What the runtime made ready.

        Raises:
            LookupError: It is not loaded.

        """
        if self.prepared is None:
            raise LookupError(f"plugin {self.name!r} is not loaded")
        return self.prepared

    @property
    def own_workers(self) -> bool:
        """Whether each of its contexts has a worker of its own."""
        return self.config.isolation == "PerContext"

    def loaded(self, prepared: Prepared) -> None:
        """Take what the runtime made ready."""
        self.prepared = prepared
        self.functions = {info.name: i for i, info in enumerate(prepared.functions)}

    def fail(self, reason: str, message: str) -> None:
        """Remember why it cannot be loaded."""
        self.state, self.reason, self.message = "Failed", reason, message

    def serve(self) -> None:
        """Note that a worker of it serves; it stays so."""
        self.state, self.reason, self.message = "Loaded", "Loaded", ""

    def refused(self, reason: str) -> None:
        """Count a call that was refused."""
        self.metrics.refused_calls(self.name, reason).inc()

    def observe(self, function: int, outcome: str, seconds: float) -> None:
        """Count a call that reached a worker."""
        child = self._durations.get((function, outcome))
        if child is None:
            name = self.artefact.functions[function].name
            child = self.metrics.call_duration(self.name, name, outcome)
            self._durations[function, outcome] = child
        child.observe(seconds)
