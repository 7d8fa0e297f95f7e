"""What becomes of calls: how each leaves the host, and what its end means for its context.

A call that was placed comes back here through its lane, answered or not. The way there is
`invoke`'s; only what has to be placed anew goes back to it.
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable

import structlog

from pluginsandbox.host import problem as problems
from pluginsandbox.host import verdicts
from pluginsandbox.host.calls import Call, Errand
from pluginsandbox.host.contexts import Binding, Cause, State
from pluginsandbox.host.durable import FIRST, DurableStore, Refusal
from pluginsandbox.host.frames import Checkpoint, Failed, Log, Result
from pluginsandbox.host.keeper import NOT_STARTED, Item
from pluginsandbox.host.lane import Lane
from pluginsandbox.host.load import Load
from pluginsandbox.host.plugin_log import PluginLog
from pluginsandbox.host.plugins import Plugin
from pluginsandbox.host.problem import Problem
from pluginsandbox.host.reclaim import Reclaimer
from pluginsandbox.host.runtime import WorkerExit
from pluginsandbox.host.timers import Wheel
from pluginsandbox.sdk.durable import Slots

log = structlog.get_logger(__name__)


class Outcomes:
    """Keeps the lanes' calls (see `keeper.Keeper`): counts them out and has them answered.

    Args:
        reclaimer: Gives contexts and bindings back.
        wheel: Where callers' deadlines wait.
        clock: Seconds.
        load: Counts what comes and goes.
        log: Where plugins' own words go.
        durable: Where durable slots are kept.

    """

    def __init__(
        self,
        reclaimer: Reclaimer,
        wheel: Wheel,
        clock: Callable[[], float],
        load: Load,
        log: PluginLog,
        durable: DurableStore,
    ) -> None:
        self._reclaimer = reclaimer
        self._wheel = wheel
        self._clock = clock
        self._load = load
        self._log = log
        self._durable = durable
        self._refused: set[tuple[str, str]] = set()
        """Plugins, and the calls that they were refused and the log has told of."""
        self.closing = False
        """Workers are ended on purpose: what they held went by `Shutdown`."""
        self.place: Callable[[Call, float], None] | None = None
        """Places a call anew."""
        self.on_loaded: Callable[[Plugin], None] = lambda _: None
        """Told when a plugin serves for the first time."""

    # --- letting go ------------------------------------------------------------------------------

    def tell_refusal(self, call: Call, problem: Problem) -> None:
        """Answer a call that did not run, and count why."""
        call.plugin.refused(problem.kind.slug)
        if problem.kind in {problems.QUEUE_FULL, problems.CONTEXTS_FULL}:
            self._load.refused += 1
        self.tell(call, problem)

    def tell(self, call: Call, problem: Problem) -> None:
        """Answer a call with an error, unless its caller has an answer."""
        if not call.done:
            call.done = True
            call.on_problem(problem)

    def leave(self, call: Call, now: float) -> None:
        """Count a call out of the host."""
        self._load.calls.down(now)
        call.plugin.calls -= 1
        if call.timer is not None:
            self._wheel.disarm(call.timer)

    def _release(self, call: Call, now: float) -> None:
        """Let go of the context that a placed call was in."""
        context = call.binding.context
        context.active -= 1
        context.used = now
        if context.fresh and context.bindings:
            self._reclaimer.end(context, "Released")

    def drop(self, call: Call, now: float) -> None:
        """Take out a call that still waits; its lane passes it over."""
        call.go(self._load.queued, now)
        self.leave(call, now)
        if call.placed:
            self._release(call, now)

    # --- what lanes tell -------------------------------------------------------------------------

    def on_checkpoint(self, binding: Binding, point: Checkpoint, slots: Slots) -> Refusal:
        """Keep the durable slots that a call changed."""
        restored = point.n == FIRST and binding.kept is not None
        refusal = self._durable.store(binding, point.epoch, point.n, slots)
        if restored and not refusal:
            binding.plugin.metrics.restores(binding.plugin.name, "restored").inc()
        return refusal

    def on_result(self, call: Call, started: float, now: float, frame: Result, body: bytes) -> None:
        """Answer a call that returned."""
        if call.new:
            self._time(call, started, now, frame.bind_seconds)
        else:
            call.seconds = (started - call.arrived, 0.0, now - started)
        if len(body) > call.plugin.config.limits.result_bytes:
            self._conclude(call, now, "result", verdicts.oversized(call, len(body)))
            return
        call.plugin.observe(call.function, "ok", now - call.arrived)
        self.leave(call, now)
        if not call.done:
            call.done = True
            call.on_result(frame.codec, body)
        self._release(call, now)

    def on_failed(self, call: Call, started: float, now: float, frame: Failed) -> None:
        """Answer a call that raised or could not begin."""
        if call.new:
            self._time(call, started, now, frame.bind_seconds)
        else:
            call.seconds = (started - call.arrived, 0.0, now - started)
        self._conclude(call, now, *verdicts.failure(call, frame))

    def _conclude(self, call: Call, now: float, outcome: str, problem: Problem) -> None:
        call.plugin.observe(call.function, outcome, now - call.arrived)
        if problem.kind is not problems.ARGUMENTS:
            self._log.note(
                call, "info", "call failed", outcome=outcome, **verdicts.told(call, problem)
            )
        self.leave(call, now)
        self.tell(call, problem)
        self._release(call, now)

    def _time(self, call: Call, started: float, now: float, bind_seconds: float) -> None:
        """Split the time of a call that bound; what the worker says is believed within bounds."""
        waited, ran = started - call.arrived, now - started
        bound = bind_seconds if 0.0 <= bind_seconds <= ran else 0.0
        ran -= bound
        if call.binding.lane.own:
            waited, bound = 0.0, bound + waited
        call.seconds = (waited, bound, ran)
        name, metrics = call.plugin.name, call.plugin.metrics
        metrics.bind_duration(name).observe(bound)
        if call.restored:
            metrics.restore_duration(name).observe(bound)

    def on_expired(self, call: Call, now: float) -> None:
        """Answer a call that waited too long for its worker."""
        self.leave(call, now)
        self.tell_refusal(
            call,
            Problem(
                problems.QUEUE_TIME,
                f"the call waited {now - call.arrived:.1f} s for a worker "
                "(queueTimeoutMilliseconds) and did not run",
            ),
        )
        self._release(call, now)

    def on_unplaced(self, call: Call) -> None:
        """Place a call anew whose binding never came to be."""
        self._again(call, self._clock())

    def on_unbound(self, binding: Binding, failed: Failed) -> None:
        """Take out a binding that the worker does not have, or keep what is durable of it."""
        if binding.kept is not None:
            self._on_unrestored(binding, failed)
        elif binding.state is State.BINDING:
            self._reclaimer.discard(binding)
        else:
            self._reclaimer.lose(binding, "Crashed", "the worker had forgotten it", 0.0, None)

    def _on_unrestored(self, binding: Binding, failed: Failed) -> None:
        if failed.kind != "Restore" or binding.state is not State.BINDING:
            self._reclaimer.store(binding, "")
            return
        binding.plugin.metrics.restores(binding.plugin.name, "refused").inc()
        self._reclaimer.lose(binding, "Evicted", "", failed.bind_seconds, None)

    def on_given_back(self, errand: Errand, now: float) -> None:
        """Go on with the context whose binding is gone."""
        self._reclaimer.given_back(errand, now)

    def on_ready(self, lane: Lane) -> None:
        """Note that a plugin serves."""
        if lane.plugin.pool is not None:
            lane.plugin.pool.serves(lane)
        self.serve(lane.plugin)

    def serve(self, plugin: Plugin) -> None:
        """Take calls for a plugin that has a worker, or keeps none in advance."""
        if plugin.state != "Loaded":
            plugin.serve()
            self.on_loaded(plugin)

    def on_log(self, lane: Lane, item: Item | None, frame: Log) -> None:
        """Pass on what a plugin said."""
        self._log.write(lane.plugin.name, item, frame.level, frame.message)

    def on_denied(self, lane: Lane, call: str) -> None:
        """Count what a worker was refused; say it once of each plugin and call."""
        name = lane.plugin.name
        lane.plugin.metrics.denials(name, "notify").inc()
        if (name, call) not in self._refused:
            self._refused.add((name, call))
            log.warning("a plugin was refused a system call", plugin=name, call=call)

    def on_lost(self, lane: Lane, end: WorkerExit, sent: deque[Item], waiting: deque[Item]) -> None:
        """Give back what a worker held, answer the call that was in it, place the others anew."""
        now = self._clock()
        # Read before the lane gets its next worker.
        ending, measured = lane.ending, lane.measured if lane.ending else end.peak_bytes or None
        self._note_exit(lane, end)
        ran = [sent.popleft() for _ in range(min(lane.overlap, len(sent)))]
        for item in sent:
            if item.binding.state is State.BINDING:  # the call that would have bound never ran
                item.binding.state = State.NEW
        ours = itertools.chain(ran, sent, waiting)
        errands = [item for item in ours if isinstance(item, Errand)]
        leaving = {errand.binding for errand in errands}
        for binding in [kept for kept in lane.bindings.values() if kept not in leaving]:
            self._lose(binding, lane, end, now, measured)
            if binding.state is State.GONE:
                measured = None  # it is the worker's, and counted once
        if lane.plugin.pool is not None:
            lane.plugin.pool.lost(lane, end, now)
        for errand in errands:
            self._reclaimer.given_back(errand, now, measured)
            measured = None
        for item in ran:
            if isinstance(item, Call):
                item.seconds = (0.0, 0.0, now - item.arrived)
                self._conclude(item, now, *verdicts.death(item, end, ending))
            ending = ""  # the fault of the first
        self._place_again(sent, waiting, end, now)

    def _place_again(
        self, sent: deque[Item], waiting: deque[Item], end: WorkerExit, now: float
    ) -> None:
        for item in sent:
            if isinstance(item, Call):
                self._retry(item, end, now)
        for item in waiting:
            if isinstance(item, Call) and not item.done:
                self._again(item, now)

    def _lose(
        self, binding: Binding, lane: Lane, end: WorkerExit, now: float, measured: int | None
    ) -> None:
        if binding.kept is not None and not self.closing and not binding.context.fresh:
            self._reclaimer.store(binding, end.detail)
            return
        cause: Cause = "Shutdown" if self.closing else "Crashed"
        seconds = now - lane.ended if lane.ending else 0.0
        self._reclaimer.lose(binding, cause, end.detail, seconds, measured)

    def _retry(self, call: Call, end: WorkerExit, now: float) -> None:
        """Place a call once more that was behind the one in which the worker died."""
        if call.done:
            self.leave(call, now)
            self._release(call, now)
        elif call.retried:
            self._conclude(call, now, "died", verdicts.bad_luck(call, end))
        else:
            call.retried = True
            self._again(call, now)

    def _again(self, call: Call, now: float) -> None:
        call.binding.context.active -= 1
        call.new = False
        call.placed = False
        if self.place is not None:
            self.place(call, now)

    def _note_exit(self, lane: Lane, end: WorkerExit) -> None:
        if end is NOT_STARTED:
            return
        name, cause = lane.plugin.name, lane.ending or end.cause
        metrics = lane.plugin.metrics
        metrics.worker_exits(name, cause).inc()
        if end.cause == "Denied":
            metrics.denials(name, "kill").inc()
        if cause not in {"Reclaimed", "Shutdown"}:
            log.warning("worker died", plugin=name, cause=cause, detail=end.detail)
