"""The one way into a plugin: every door calls `Invoker.invoke`; answers come through `Outcomes`.

No task, no future, no lock: a call is an object that goes from the door to a lane, from the lane to
a worker, and back by callbacks of the event loop. Here is decided whether it may run, and in which
binding; what its end means is `outcomes`'.
"""

from __future__ import annotations

from collections.abc import Callable

from pluginsandbox.api.host_config import PAYLOAD_CALLS, HostConfig, payload_bytes
from pluginsandbox.host import problem as problems
from pluginsandbox.host import verdicts
from pluginsandbox.host.calls import ANY_GENERATION, Call, CallTimer
from pluginsandbox.host.contexts import Binding, Context, ContextTable, State
from pluginsandbox.host.elsewhere import Elsewhere
from pluginsandbox.host.ends import Tombstone
from pluginsandbox.host.lane import GRACE_SECONDS
from pluginsandbox.host.load import Load
from pluginsandbox.host.outcomes import Outcomes
from pluginsandbox.host.pool import Pool
from pluginsandbox.host.problem import Problem
from pluginsandbox.host.reclaim import Reclaimer
from pluginsandbox.host.timers import Wheel

STORED = State.STORED


class Invoker:
    """Takes calls, and places them or answers why not.

    Args:
        table: The host's contexts.
        reclaimer: Gives them back.
        wheel: Where callers' deadlines wait.
        clock: Seconds.
        load: Counts what comes and goes.
        outcomes: What becomes of the calls.
        config: How long contexts live, how many calls may wait and how long.

    """

    def __init__(
        self,
        table: ContextTable,
        reclaimer: Reclaimer,
        wheel: Wheel,
        clock: Callable[[], float],
        load: Load,
        outcomes: Outcomes,
        config: HostConfig,
    ) -> None:
        self._table = table
        self._reclaimer = reclaimer
        self._wheel = wheel
        self._clock = clock
        self._load = load
        self._outcomes = outcomes
        self._deadline_seconds = config.deadline_seconds
        self._max_queued = config.max_queued_calls
        self._max_queued_bytes = payload_bytes(config.plugins)
        self._queue_seconds = config.queue_timeout_milliseconds / 1000
        self.draining = False
        """No new binding is made."""
        self.elsewhere: Elsewhere | None = None
        """The other pods, where contexts may be that are not here; None when there can be none."""
        reclaimer.place = self.place
        outcomes.place = self._place

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
            self._outcomes.drop(call, self._clock())
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
        self._outcomes.leave(call, now)
        self._load.requests -= 1

    def refuse_waiting(self, call: Call, problem: Problem) -> None:
        """Answer a call that waits for its context and will not get it."""
        now = self._clock()
        call.go(self._load.queued, now)
        self._refuse(call, problem, now)

    def _refuse(self, call: Call, problem: Problem, now: float) -> None:
        """Answer a call that was not placed."""
        self._outcomes.leave(call, now)
        self._outcomes.tell_refusal(call, problem)

    def _on_due(self, call: Call, now: float) -> None:
        """Answer a call whose caller waits no more, or that waited too long for a context."""
        late = call.deadline is not None and now >= call.deadline
        if call.done:
            return
        if call.queued:
            self._outcomes.drop(call, now)
            kind = problems.LATE if late else problems.QUEUE_TIME
            trouble = "" if self.elsewhere is None else self.elsewhere.trouble()
            why = f": {trouble}" if trouble else ""
            self._outcomes.tell_refusal(
                call, Problem(kind, f"the call waited too long and did not run{why}")
            )
        elif call.deadline is not None:
            # The worker's own timer answers first if it can.
            if now >= call.deadline + GRACE_SECONDS:
                self._outcomes.tell(call, verdicts.overdue(call))
            else:
                self._watch(call, call.deadline + GRACE_SECONDS)
