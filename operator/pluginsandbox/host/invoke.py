"""The one way into a plugin: every door calls `Invoker.invoke`, every answer comes back through it.

No task, no future, no lock: a call is an object that goes from the door to a lane, from the lane to
a worker, and back by callbacks of the event loop. Here is decided whether it may run, in which
binding, and what its end means for its context.
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable

import structlog

from pluginsandbox.api.host_config import PAYLOAD_CALLS, HostConfig, payload_bytes
from pluginsandbox.host import problem as problems
from pluginsandbox.host import verdicts
from pluginsandbox.host.calls import ANY_GENERATION, Call, CallTimer, Errand
from pluginsandbox.host.contexts import Binding, Cause, Context, ContextTable, State
from pluginsandbox.host.durable import FIRST, DurableStore, Refusal
from pluginsandbox.host.elsewhere import Elsewhere
from pluginsandbox.host.ends import Tombstone
from pluginsandbox.host.frames import Checkpoint, Failed, Log, Result
from pluginsandbox.host.lane import GRACE_SECONDS, NOT_STARTED, Item, Lane
from pluginsandbox.host.load import Load
from pluginsandbox.host.plugin_log import PluginLog
from pluginsandbox.host.plugins import Plugin
from pluginsandbox.host.pool import Pool
from pluginsandbox.host.problem import Problem
from pluginsandbox.host.reclaim import Reclaimer
from pluginsandbox.host.runtime import WorkerExit
from pluginsandbox.host.timers import Wheel
from pluginsandbox.sdk.durable import Slots

log = structlog.get_logger(__name__)

STORED = State.STORED


class Invoker:
    """Takes calls, places them, and answers them.

    Args:
        table: The host's contexts.
        reclaimer: Gives them back.
        wheel: Where callers' deadlines wait.
        clock: Seconds.
        load: Counts what comes and goes.
        log: Where plugins' own words go.
        durable: Where durable slots are kept.
        config: How long contexts live, how many calls may wait and how long.

    """

    def __init__(
        self,
        table: ContextTable,
        reclaimer: Reclaimer,
        wheel: Wheel,
        clock: Callable[[], float],
        load: Load,
        log: PluginLog,
        durable: DurableStore,
        config: HostConfig,
    ) -> None:
        self._table = table
        self._reclaimer = reclaimer
        self._wheel = wheel
        self._clock = clock
        self._load = load
        self._log = log
        self._durable = durable
        self._deadline_seconds = config.deadline_seconds
        self._max_queued = config.max_queued_calls
        self._max_queued_bytes = payload_bytes(config.plugins)
        self._queue_seconds = config.queue_timeout_milliseconds / 1000
        self.draining = False
        """No new binding is made."""
        self._refused: set[tuple[str, str]] = set()
        """Plugins, and the calls that they were refused and the log has told of."""
        self.closing = False
        """Workers are ended on purpose: what they held went by `Shutdown`."""
        self.elsewhere: Elsewhere | None = None
        """The other pods, where contexts may be that are not here; None when there can be none."""
        self.on_loaded: Callable[[Plugin], None] = lambda _: None
        """Told when a plugin serves for the first time."""
        reclaimer.place = self.place

    # --- taking ----------------------------------------------------------------------------------

    def invoke(self, call: Call) -> None:
        """Take a call; it is answered exactly once, through its `on_result` or `on_problem`."""
        now = self._clock()
        self._load.requests += 1
        self._load.calls.up(now)
        call.plugin.calls += 1
        if call.deadline is not None:
            self._watch(call, call.deadline)
        self._place(call, now)

    def abandon(self, call: Call) -> None:
        """Let a call go whose caller is gone; one that waits will not run."""
        if call.done:
            return
        call.done = True
        if call.queued:
            self._drop(call, self._clock())
        elif self.elsewhere is not None:
            self.elsewhere.abandon(call)

    def _watch(self, call: Call, due: float) -> None:
        call.timer = call.timer or CallTimer(call, self._on_due)
        self._wheel.arm(call.timer, due)

    def _place(self, call: Call, now: float) -> None:
        """Find or make the binding of a call and send it there, or answer it."""
        context = None
        if call.context is not None:
            context = self._table.get(call.tenant, call.context)
        try:
            if context is None and self.elsewhere is not None and self._seek(call, now):
                return
            if context is not None and context.ending:
                self._await_end(call, context, now)
                return
            binding = None if context is None else context.find(call.plugin)
            if call.existing is not None:
                self._check_existing(call, binding)
            if binding is None:
                binding = self._bind(call, context, now)
            elif binding.state is STORED:
                self._rebind(call, binding)
            elif self._no_room(call) and not binding.lane.at_once:
                self._check_queue(call)
        except Problem as problem:
            self._refuse(call, problem, now)
            return
        binding.context.active += 1
        binding.calls += 1
        call.binding = binding
        call.placed = call.admitted = True
        binding.lane.push(call, now)

    def _seek(self, call: Call, now: float) -> bool:
        """Let a call wait that is for another pod to run, or for another pod to leave to this."""
        name, elsewhere = call.context, self.elsewhere
        if name is None or elsewhere is None or call.sought or elsewhere.holds(call.tenant, name):
            return False
        self._check_queue(call)
        call.wait(self._load.queued, now)
        self._watch(call, call.arrived + self._queue_seconds)
        elsewhere.seek(call, name)
        return True

    def _bind(self, call: Call, context: Context | None, now: float) -> Binding:
        plugin = call.plugin
        pool = plugin.pool
        if pool is None:
            raise verdicts.unloaded(plugin)
        if self.draining and context is None and call.context is not None:
            raise Problem(problems.DRAINING, "this pod takes no new contexts; try again")
        if plugin.bindings >= plugin.config.limits.max_contexts:
            raise Problem(
                problems.CONTEXTS_FULL,
                f"{plugin.name} is bound in {plugin.bindings} contexts, as many as maxContexts "
                "allows; release one with DELETE /v1/contexts/{id}, or raise the limit",
            )
        self._check_room(call, pool)
        ended = None
        if call.context is None:
            context = self._table.add_fresh(call.tenant, now)
        else:
            ended = self._tombstone(call)
            context = context or self.open_context(call.tenant, call.context, now)
        lane = pool.choose(ended.detail if ended is not None else "")
        binding = self._table.bind(context, plugin, lane, now)
        plugin.bindings += 1
        return binding

    def _rebind(self, call: Call, binding: Binding) -> None:
        """Give a lane to a binding whose durable state waits here."""
        pool = call.plugin.pool
        if pool is None:
            raise verdicts.unloaded(call.plugin)
        self._check_room(call, pool)
        died = binding.kept.died if binding.kept is not None else ""
        self._table.rebind(binding, pool.choose(died))

    def open_context(self, tenant: str, name: str, now: float) -> Context:
        """Make a context that is not there yet; it ends by itself when its time comes."""
        deadline = now + self._deadline_seconds
        context = self._table.add(tenant, name, now, deadline, self._reclaimer)
        self._reclaimer.watch(context, now)
        return context

    def _check_existing(self, call: Call, binding: Binding | None) -> None:
        if binding is None:
            raise verdicts.gone(call, self._tombstone(call), None)
        if call.existing == ANY_GENERATION:
            return
        if binding.state is STORED:
            raise verdicts.stored(call, binding)
        if call.existing != binding.generation:
            raise verdicts.gone(call, None, binding.generation)

    def _check_room(self, call: Call, pool: Pool) -> None:
        lane = pool.peek()
        if lane is None or not lane.at_once:
            self._check_queue(call)

    def _no_room(self, call: Call) -> bool:
        """Whether one more call that waits would be one too many, or too large."""
        queued = self._load.queued
        too_large = queued.bytes + len(call.body) > self._max_queued_bytes
        return too_large or queued.count >= self._max_queued

    def _check_queue(self, call: Call) -> None:
        if call.admitted or not self._no_room(call):
            return
        queued = self._load.queued
        told = f"{self._max_queued} calls wait already (maxQueuedCalls)"
        if queued.count < self._max_queued:
            told = (
                f"calls with {queued.bytes >> 10} KiB of arguments wait already, and the pod has "
                f"room for {PAYLOAD_CALLS} times the largest arguments and result"
            )
        raise Problem(problems.QUEUE_FULL, told)

    def _tombstone(self, call: Call) -> Tombstone | None:
        if call.context is None:
            return None
        return self._table.tombstone(call.tenant, call.context, call.plugin.name)

    def _await_end(self, call: Call, context: Context, now: float) -> None:
        """Let a call wait until the context that it names is given back."""
        if call.existing is not None and not context.moving:
            raise verdicts.gone(call, self._tombstone(call), None)
        self._check_queue(call)
        call.wait(self._load.queued, now)
        context.waiting = [*(context.waiting or ()), call]
        self._watch(call, call.arrived + self._queue_seconds)

    def place(self, call: Call) -> None:
        """Place a call that waited for its context."""
        if not call.done:
            now = self._clock()
            call.go(self._load.queued, now)
            self._place(call, now)

    # --- letting go ------------------------------------------------------------------------------

    def send_off(self, call: Call) -> None:
        """Count out a call that waits, for another pod to run and to count."""
        now = self._clock()
        call.go(self._load.queued, now)
        self._leave(call, now)
        self._load.requests -= 1

    def refuse_waiting(self, call: Call, problem: Problem) -> None:
        """Answer a call that waits for its context and will not get it."""
        now = self._clock()
        call.go(self._load.queued, now)
        self._refuse(call, problem, now)

    def _refuse(self, call: Call, problem: Problem, now: float) -> None:
        """Answer a call that was not placed."""
        self._leave(call, now)
        self._tell_refusal(call, problem)

    def _tell_refusal(self, call: Call, problem: Problem) -> None:
        call.plugin.refused(problem.kind.slug)
        if problem.kind in {problems.QUEUE_FULL, problems.CONTEXTS_FULL}:
            self._load.refused += 1
        self._tell(call, problem)

    def _tell(self, call: Call, problem: Problem) -> None:
        if not call.done:
            call.done = True
            call.on_problem(problem)

    def _leave(self, call: Call, now: float) -> None:
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

    def _drop(self, call: Call, now: float) -> None:
        """Take out a call that still waits; its lane passes it over."""
        call.go(self._load.queued, now)
        self._leave(call, now)
        if call.placed:
            self._release(call, now)

    def _on_due(self, call: Call, now: float) -> None:
        """Answer a call whose caller waits no more, or that waited too long for a context."""
        late = call.deadline is not None and now >= call.deadline
        if call.done:
            return
        if call.queued:
            self._drop(call, now)
            kind = problems.LATE if late else problems.QUEUE_TIME
            self._tell_refusal(call, Problem(kind, "the call waited too long and did not run"))
        elif call.deadline is not None:
            # The worker's own timer answers first if it can.
            if now >= call.deadline + GRACE_SECONDS:
                self._tell(call, verdicts.overdue(call))
            else:
                self._watch(call, call.deadline + GRACE_SECONDS)

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
        self._leave(call, now)
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
        self._leave(call, now)
        self._tell(call, problem)
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
        self._leave(call, now)
        self._tell_refusal(
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
            self._leave(call, now)
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
        self._place(call, now)

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
