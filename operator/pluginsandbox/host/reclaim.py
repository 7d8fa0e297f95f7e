"""Giving contexts back: every binding once, with one cause, counted, timed and measured.

The bindings of a context go newest first, each when the one before is gone, as a stack unwinds.
While a context ends, calls for it wait; then they bind it anew.
"""

from __future__ import annotations

from collections.abc import Callable

from pluginsandbox.host.calls import Call, Errand
from pluginsandbox.host.contexts import Binding, Cause, Context, ContextTable, State
from pluginsandbox.host.durable import DurableStore
from pluginsandbox.host.plugin_log import PluginLog
from pluginsandbox.host.timers import Wheel
from pluginsandbox.telemetry.host_metrics import HostMetrics

# `on_exit` has this long; then its worker is ended.
ON_EXIT_SECONDS = 1.0
# Contexts need no finer clock, and share the wheel's buckets with their like.
GRAIN_SECONDS = 0.25
ERROR_CHARACTERS = 500


class Reclaimer:
    """Ends contexts and bindings.

    Args:
        table: Where they are.
        wheel: Where contexts wait for their deadline or the end of their idle time.
        clock: Seconds.
        idle_seconds: After this long without a call a context ends as `Idle`.
        durable: What is held of bindings, until they end.
        metrics: Where it is counted.
        log: Where bindings are written of that did not go as they should.

    """

    def __init__(
        self,
        table: ContextTable,
        wheel: Wheel,
        clock: Callable[[], float],
        idle_seconds: float,
        durable: DurableStore,
        metrics: HostMetrics,
        log: PluginLog,
    ) -> None:
        self._table = table
        self._wheel = wheel
        self._clock = clock
        self._idle = idle_seconds
        self._durable = durable
        self._metrics = metrics
        self._log = log
        self.place: Callable[[Call], None] | None = None
        """Places the calls that waited for a context to end."""
        self.ending = 0
        """Contexts that are being given back."""

    # --- when ------------------------------------------------------------------------------------

    def watch(self, context: Context, now: float) -> None:
        """End a context when its time has come; repeat after a deadline came nearer."""
        due = context.due(now, self._idle)
        self._wheel.arm(context, (due // GRAIN_SECONDS + 1) * GRAIN_SECONDS)

    def on_context_due(self, context: Context, now: float) -> None:
        """End a context whose time has come, or look again later."""
        if context.ending:
            return
        if now >= context.deadline:
            self.end(context, "Deadline")
        elif not context.active and now >= context.used + self._idle:
            self.end(context, "Idle")
        else:
            self.watch(context, now)

    # --- whole contexts --------------------------------------------------------------------------

    def end(self, context: Context, cause: Cause, then: Callable[[], None] | None = None) -> None:
        """Give back all bindings of a context, newest first.

        Args:
            context: Which; one that is ending already keeps its cause.
            cause: Why.
            then: Called when nothing of it is left.

        """
        if then is not None:
            context.watchers = [*(context.watchers or ()), then]
        if context.ending:
            return
        self._freeze(context, cause)
        self._unwind(context)

    def freeze(self, context: Context) -> None:
        """Let calls for a context wait, also those that want it as it is, until `unwind`."""
        context.moving = True
        self._freeze(context, "Shutdown")

    def unwind(self, context: Context, cause: Cause) -> None:
        """Give back all bindings of a frozen context."""
        context.moving = False
        context.ending = cause
        self._unwind(context)

    def _freeze(self, context: Context, cause: Cause) -> None:
        context.ending = cause
        self.ending += 1
        self._wheel.disarm(context)

    def drop_if_empty(self, context: Context) -> None:
        """Forget a context in which nothing is bound, unless somebody made it by name."""
        if not context.bindings and not context.ending and not context.kept:
            self._wheel.disarm(context)
            self._table.remove(context)

    def _unwind(self, context: Context) -> None:
        if context.bindings:
            binding = context.bindings[-1]
            cause = context.ending or "Released"
            now = self._clock()
            errand = Errand(binding, cause, now, ON_EXIT_SECONDS)
            if binding.state is State.STORED:  # no worker has it, so there is no on_exit to run
                self.given_back(errand, now, _held(binding))
            else:
                binding.lane.push_errand(errand, now)
            return
        self.ending -= 1
        self._table.remove(context)
        watchers, context.watchers = context.watchers, None
        waiting, context.waiting = context.waiting, None
        for then in watchers or ():
            then()
        for call in waiting or ():
            if self.place is not None:
                self.place(call)

    # --- single bindings -------------------------------------------------------------------------

    def given_back(self, errand: Errand, now: float, measured: int | None = None) -> None:
        """Take out a binding whose errand is over, and go on with its context.

        Args:
            errand: Which; its binding may have gone already, or never have come to be.
            now: Seconds on the host's clock.
            measured: Bytes of the worker that ended with it, or that the host held of it.

        """
        binding, context = errand.binding, errand.binding.context
        if binding.state is State.NEW and binding.kept is None:
            self._take_out(binding, None)
        elif binding.state is not State.GONE:
            self._count(binding, errand.cause, now - errand.asked)
            self._count_bytes(binding, errand.cause, errand.reported, measured)
            self._tell(errand)
            self._take_out(binding, errand.cause)
        self._unwind(context)

    def lose(
        self, binding: Binding, cause: Cause, detail: str, seconds: float, measured: int | None
    ) -> None:
        """Take out a binding whose worker is gone.

        Args:
            binding: Which.
            cause: Crashed; Shutdown when the host ended the worker on its way out; Evicted when
                the plugin refused its stored state.
            detail: How the worker died.
            seconds: From the host ending the worker to its end; 0 when it went by itself.
            measured: Bytes of the worker; told with one of its bindings, as they go together.

        """
        if binding.state is State.NEW:
            self.discard(binding)
            return
        self._count(binding, cause, seconds)
        self._count_bytes(binding, cause, 0, measured)
        self._take_out(binding, cause, detail)
        self.drop_if_empty(binding.context)

    def store(self, binding: Binding, died: str) -> None:
        """Let a binding wait without a worker; its durable state is here.

        Args:
            binding: Which.
            died: How its worker died; empty if it lives and has only this binding no more.

        """
        binding.leave()
        if binding.kept is not None:
            binding.kept.died = died

    def discard(self, binding: Binding) -> None:
        """Take out a binding that never came to be."""
        self._take_out(binding, None)
        self.drop_if_empty(binding.context)

    def _take_out(self, binding: Binding, cause: Cause | None, detail: str = "") -> None:
        if binding.state is not State.STORED:
            binding.leave()
        self._durable.forget(binding)
        self._table.unbind(binding, cause, detail)
        binding.plugin.bindings -= 1

    def _count(self, binding: Binding, cause: Cause, seconds: float) -> None:
        name = binding.plugin.name
        self._metrics.reclaims(name, cause).inc()
        self._metrics.reclaim_duration(name, cause).observe(max(0.0, seconds))

    def _count_bytes(
        self, binding: Binding, cause: Cause, reported: int, measured: int | None
    ) -> None:
        """Count what the kernel says where a worker ended, else what the worker says."""
        name = binding.plugin.name
        if measured is not None:
            self._metrics.reclaimed_bytes(name, cause, "measured").inc(measured)
        elif reported > 0:
            # It may lie, but not beyond what it was allowed to have.
            bound = min(reported, binding.plugin.config.limits.memory_bytes)
            self._metrics.reclaimed_bytes(name, cause, "reported").inc(bound)

    def _tell(self, errand: Errand) -> None:
        if errand.cause == "Finalized":
            self._log.note(errand, "warning", "a client dropped a context without closing it")
        if errand.error:
            error = errand.error[:ERROR_CHARACTERS]
            self._log.note(errand, "warning", "on_exit raised", cause=errand.cause, error=error)


def _held(binding: Binding) -> int | None:
    return None if binding.kept is None else binding.kept.size
