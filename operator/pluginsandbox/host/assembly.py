"""Puts one host together: contexts, plugins, call path. Doors and signals are `server`'s."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from pluginsandbox.api.host_config import HostConfig
from pluginsandbox.host.contexts import ContextTable
from pluginsandbox.host.durable import DurableStore
from pluginsandbox.host.hashes import Hasher
from pluginsandbox.host.invoke import Invoker
from pluginsandbox.host.keeper import Services
from pluginsandbox.host.load import Load
from pluginsandbox.host.outcomes import Outcomes
from pluginsandbox.host.plugin_log import PluginLog
from pluginsandbox.host.plugins import Plugin
from pluginsandbox.host.pool import PerContext, Pool, Sharded
from pluginsandbox.host.reclaim import Reclaimer
from pluginsandbox.host.runtime import Confinement, Prepared, Runtime
from pluginsandbox.host.timers import Alarm, Wheel
from pluginsandbox.telemetry.host_metrics import HostMetrics


class Host:
    """Everything in a host that is no socket.

    Args:
        config: What to serve.
        runtime: What makes workers.
        clock: Seconds; monotonic.
        first_generation: Above every generation of an earlier host; from the wall clock unless
            given.

    """

    def __init__(
        self,
        config: HostConfig,
        runtime: Runtime,
        clock: Callable[[], float] = time.monotonic,
        first_generation: int | None = None,
    ) -> None:
        self.config = config
        self.runtime = runtime
        self.clock = clock
        self.metrics = HostMetrics(config.namespace, config.sandbox)
        self.hasher = Hasher()
        self.wheel = Wheel()
        self.load = Load(clock())
        # Microseconds of Unix time: a host that follows this one on its pod starts above it.
        self.first_generation = (
            time.time_ns() // 1000 if first_generation is None else first_generation
        )
        self.table = ContextTable(self.first_generation)
        log = PluginLog(self.hasher, self.wheel, clock)
        self.plugins = {
            plugin.name: Plugin(index, plugin, self.metrics)
            for index, plugin in enumerate(config.plugins)
        }
        self.durable = DurableStore(self.table, self.plugins)
        self.reclaimer = Reclaimer(
            self.table,
            self.wheel,
            clock,
            config.idle_timeout_seconds,
            self.durable,
            self.metrics,
            log,
        )
        self.outcomes = Outcomes(self.reclaimer, self.wheel, clock, self.load, log, self.durable)
        self.invoker = Invoker(
            self.table,
            self.reclaimer,
            self.wheel,
            clock,
            self.load,
            self.outcomes,
            config,
        )
        self.confinement: Confinement | None = None
        """What the wall is made of, once that is proven."""
        self.admitted: Callable[[], bool] = lambda: True
        """Whether the other pods of the sandbox know this one."""
        self.blocked: Callable[[], str] = str
        """Why they do not, for a person."""
        self.was_ready = False
        self.metrics.contexts().set_function(lambda: len(self.table))
        self._services = Services(
            runtime,
            self.outcomes,
            self.wheel,
            clock,
            self.load.queued,
            config.queue_timeout_milliseconds / 1000,
        )

    @property
    def confined(self) -> bool:
        """Whether the wall stands as far as the configuration asks."""
        if self.confinement is None:
            return False
        return self.confinement.holds or self.config.confinement == "BestEffort"

    @property
    def capacity(self) -> int:
        """Contexts that may be there at once: as many as all plugins together may be bound in."""
        return sum(plugin.config.limits.max_contexts for plugin in self.plugins.values())

    @property
    def loaded(self) -> bool:
        """Whether every plugin serves."""
        return all(plugin.state == "Loaded" for plugin in self.plugins.values())

    @property
    def ready(self) -> bool:
        """Whether callers may be sent here: once every plugin has loaded, until it drains."""
        self.was_ready = self.was_ready or (self.loaded and self.confined and self.admitted())
        return self.was_ready and self.confined and not self.invoker.draining

    def open_plugin(self, prepared: Prepared) -> None:
        """Start the workers of a plugin that was made ready."""
        plugin = self.plugins[prepared.config.name]
        plugin.loaded(prepared)
        pool: Pool
        if plugin.own_workers:
            pool = PerContext(plugin, self._services, self.config.warm_workers)
        else:
            pool = Sharded(plugin, self._services)
        plugin.pool = pool
        pool.open()
        if not pool.lanes:
            self.outcomes.serve(plugin)

    def turn(self, loop: asyncio.AbstractEventLoop) -> Alarm:
        """Have the event loop keep the host's time."""
        return Alarm(self.wheel, loop, self.clock)
