"""One worker after another, and the calls on their way to it, in order.

A worker does one thing at a time and answers in order. So a few frames may wait in its socket, the
clock of the first starts when the one before it ended, and when the worker dies only that first one
may have run: the rest can safely be tried again.
"""

from __future__ import annotations

import math
from collections import deque

from pluginsandbox.host.calls import Call, Errand
from pluginsandbox.host.contexts import UNBINDABLE, UNBOUND, Binding, State
from pluginsandbox.host.durable import Refusal
from pluginsandbox.host.frames import Bind, Checkpoint, Failed, Log, Reclaimed, Restored, Result
from pluginsandbox.host.keeper import NOT_STARTED, Item, Services
from pluginsandbox.host.plugins import Plugin
from pluginsandbox.host.runtime import Worker, WorkerExit
from pluginsandbox.host.timers import NOWHERE
from pluginsandbox.sdk.durable import Slots, encode

# Deep enough that a worker finds its next call waiting, shallow enough to be called back.
WINDOW_FRAMES = 16
WINDOW_BYTES = 64 << 10
# A worker's own timer raises at the time-out; code that cannot be interrupted has this much longer.
# A pod that is throttled by its CPU quota may stand still for 100 ms of it.
GRACE_SECONDS = 0.25
# Between noticing that a worker is late and ending it: its answer may be in the socket already.
SECOND_LOOK_SECONDS = 0.02
START_SECONDS = 30.0


class Lane:
    """What stands between the calls of some bindings and their worker.

    Args:
        plugin: Which plugin its workers run.
        services: What it works with.
        own: Whether it serves one binding, and its worker ends with that.

    """

    overlap = 1
    """How many of the items that it was sent the worker may be at."""

    def __init__(self, plugin: Plugin, services: Services, *, own: bool) -> None:
        self.plugin = plugin
        self.own = own
        self.bindings: dict[int, Binding] = {}
        """By generation, oldest first."""
        self.worker: Worker | None = None
        self.ready = False
        self.ready_since = 0.0
        self.ending = ""
        """Why the host ended the worker, once it has."""
        self.ended = 0.0
        """When it did."""
        self.measured: int | None = None
        """Bytes of the worker then, as the kernel says."""
        self.tick = NOWHERE
        self._services = services
        self._keeper = services.keeper
        self._wheel = services.wheel
        self._clock = services.clock
        self._sent: deque[Item] = deque()
        self._waiting: deque[Item] = deque()
        self._bytes = 0
        self._head_since = 0.0
        self._armed_for = math.inf
        """The time of a call or errand for which it is on the wheel."""
        self._late: Item | None = None
        self._last_id = 0

    @property
    def at_once(self) -> bool:
        """Whether a call would reach the worker's socket without waiting."""
        return self.ready and not self._waiting and len(self._sent) < WINDOW_FRAMES

    # --- towards the worker ----------------------------------------------------------------------

    def start(self, panicked: str = "") -> None:
        """Get a worker; what waits goes to it once it is ready.

        Args:
            panicked: How the worker before it died, for the plugin to be told.

        """
        now = self._clock()
        self.ending = ""
        self.measured = None
        self._head_since = now
        self._wheel.arm(self, now + START_SECONDS)
        services = self._services
        self.worker = services.runtime.spawn(self.plugin.artefact, self, panicked=panicked)

    def push(self, call: Call, now: float) -> None:
        """Take a call; it goes to the worker as soon as the worker has room."""
        if self.ready and not self._waiting and self._goes(call):
            self._send(call, now)
            return
        call.wait(self._services.queued, now)
        self._waiting.append(call)
        self._wheel.arm(self, call.arrived + self._services.queue_seconds)

    def push_errand(self, errand: Errand, now: float) -> None:
        """Take an errand; it goes to the worker behind the calls that are here."""
        self._waiting.append(errand)
        self._fill(now)

    def kill(self, why: str) -> None:
        """End the worker; the keeper's `on_lost` follows.

        Args:
            why: Timeout | Start | Protocol | Durable | Reclaimed | Shutdown.

        """
        if self.worker is None:
            self._hand_back(NOT_STARTED)
            return
        if self.ending:
            return
        self.ready = False
        self.ending = why
        self.ended = self._clock()
        self.measured = self.worker.measured_bytes()
        self.worker.kill()

    def _goes(self, item: Item) -> bool:
        sent = self._sent
        if not sent:
            return True
        if len(sent) >= WINDOW_FRAMES or self._bytes + len(item.body) > WINDOW_BYTES:
            return False
        # Whether the first call of a binding did bind must be known before the next one goes.
        return item.binding.state is not State.BINDING

    def _send(self, item: Item, now: float) -> None:
        self._last_id += 1
        item.id = self._last_id
        if isinstance(item, Errand):
            self._send_errand(item)
        else:
            self._send_call(item, now)
        if not self._sent:
            self._begin(item, now)
        self._sent.append(item)

    def _begin(self, item: Item, now: float) -> None:
        """Start the clock of the item that is the worker's next."""
        self._head_since = now
        due = now + item.patience + GRACE_SECONDS
        if due < self._armed_for:
            self._armed_for = due
            self._wheel.arm(self, due)

    def _send_call(self, call: Call, now: float) -> None:
        plugin, binding = self.plugin, call.binding
        call.budget, microseconds = plugin.timeout_seconds, plugin.timeout_microseconds
        if call.deadline is not None and call.deadline - now < call.budget:
            call.budget = max(call.deadline - now, 0.001)
            microseconds = int(call.budget * 1e6)
        bind = None
        if binding.state is State.NEW:
            binding.state = State.BINDING
            restored = None
            if binding.kept is not None:
                restored = Restored(binding.kept.digest, encode(binding.kept.slots))
            bind = Bind(call.tenant, binding.context.name, binding.generation, restored)
            call.new = True
        # on_start has the same time as the call itself.
        call.patience = call.budget * 2 if call.new else call.budget
        self._bytes += len(call.body)
        self.worker.call(  # type: ignore[union-attr] # a lane that is ready has one
            call=call.id,
            function=call.function,
            context=binding.generation,
            timeout_microseconds=microseconds,
            codec=call.codec,
            traceparent=call.traceparent,
            body=call.body,
            bind=bind,
        )

    def _send_errand(self, errand: Errand) -> None:
        errand.binding.state = State.RECLAIMING
        self.worker.reclaim(  # type: ignore[union-attr] # a lane that is ready has one
            call=errand.id,
            context=errand.binding.generation,
            cause=errand.cause,
            timeout_microseconds=int(errand.patience * 1e6),
        )

    def _fill(self, now: float) -> None:
        """Send what waits, as far as the worker has room."""
        waiting = self._waiting
        while waiting and self.ready:
            item = waiting[0]
            if item.done:
                waiting.popleft()
                continue
            binding = item.binding
            if isinstance(item, Call) and (binding.state in UNBOUND or binding.lane is not self):
                self._unplace(binding, now)
                continue
            if not self._goes(item):
                return
            waiting.popleft()
            if isinstance(item, Errand):
                if binding.state is State.LIVE:
                    self._send(item, now)
                else:
                    self._keeper.on_given_back(item, now)
            else:
                item.go(self._services.queued, now)
                self._send(item, now)

    def _unplace(self, binding: Binding, now: float) -> None:
        """Hand back, in order, the calls that wait for a binding which is not here."""
        calls = [i for i in self._waiting if isinstance(i, Call) and i.binding is binding]
        for call in calls:
            self._waiting.remove(call)
        for call in calls:
            if not call.done:
                call.go(self._services.queued, now)
                self._keeper.on_unplaced(call)

    # --- from the worker -------------------------------------------------------------------------

    def on_ready(self, worker: Worker) -> None:
        """Send what waited for the worker to start."""
        if self.ending:
            return
        del worker
        now = self._clock()
        self.ready = True
        self.ready_since = now
        self._keeper.on_ready(self)
        self._fill(now)

    def on_checkpoint(self, worker: Worker, call: int, point: Checkpoint, slots: Slots) -> None:
        """Have the durable slots stored that a call changed, before its answer is handed on."""
        del worker
        head = self._sent[0] if self._sent else None
        refusal: Refusal = "Protocol"
        if isinstance(head, Call) and head.id == call:
            refusal = self._keeper.on_checkpoint(head.binding, point, slots)
        if refusal:
            self.kill(refusal)

    def on_result(self, worker: Worker, result: Result, body: bytes) -> None:
        """Hand a result to its call."""
        del worker
        now = self._clock()
        call = self._take(result.call)
        if call is None or isinstance(call, Errand):
            self.kill("Protocol")
            return
        if call.new:
            call.binding.state = State.LIVE
        started = self._next(now)
        self._keeper.on_result(call, started, now, result, body)

    def on_failed(self, worker: Worker, failed: Failed) -> None:
        """Hand an error to its call."""
        del worker
        now = self._clock()
        call = self._take(failed.call)
        if call is None or isinstance(call, Errand):
            self.kill("Protocol")
            return
        binding = call.binding
        if not failed.bound and binding.state in UNBINDABLE and binding.lane is self:
            self._keeper.on_unbound(binding, failed)
            if self.own:  # nobody else can have this worker
                self.kill("Reclaimed")
        elif call.new:
            binding.state = State.LIVE
        started = self._next(now)
        self._keeper.on_failed(call, started, now, failed)

    def on_reclaimed(self, worker: Worker, reclaimed: Reclaimed) -> None:
        """Finish an errand; a worker of one binding ends with it."""
        del worker
        now = self._clock()
        errand = self._take(reclaimed.call)
        if not isinstance(errand, Errand):
            self.kill("Protocol")
            return
        errand.reported = reclaimed.reported_bytes
        errand.error = reclaimed.error
        if self.own:
            self._sent.appendleft(errand)
            self.kill("Reclaimed")
            return
        self._next(now)
        self._keeper.on_given_back(errand, now)

    def on_log(self, worker: Worker, log: Log) -> None:
        """Pass on what the plugin said, with whose call it was."""
        del worker
        head = self._sent[0] if self._sent else None
        # What on_exit says comes without a number.
        known = head is not None and (head.id == log.call or isinstance(head, Errand))
        self._keeper.on_log(self, head if known else None, log)

    def on_denied(self, worker: Worker, call: str) -> None:
        """Pass on what the worker was refused."""
        del worker
        self._keeper.on_denied(self, call)

    def on_exit(self, worker: Worker, end: WorkerExit) -> None:
        """Hand back all that was on its way."""
        del worker
        self._hand_back(end)

    def _hand_back(self, end: WorkerExit) -> None:
        now = self._clock()
        self.worker = None
        self.ready = False
        self._late = None
        self._bytes = 0
        sent, self._sent = self._sent, deque()
        waiting, self._waiting = self._waiting, deque()
        for item in waiting:
            if not isinstance(item, Errand):
                item.go(self._services.queued, now)
        self._keeper.on_lost(self, end, sent, waiting)

    def _take(self, number: int) -> Item | None:
        """Return what the worker answers: only the first may be, or it broke the protocol."""
        sent = self._sent
        if not sent or sent[0].id != number or self.ending == "Protocol":
            return None
        item = sent.popleft()
        self._bytes -= len(item.body)
        return item

    def _next(self, now: float) -> float:
        """Start the next item's clock, send what now has room; return when the last one began."""
        started = self._head_since
        if self._sent:
            self._begin(self._sent[0], now)
        if self._waiting:
            self._fill(now)
        return started

    # --- time ------------------------------------------------------------------------------------

    def on_timer(self, now: float) -> None:
        """End a worker that is late, let go what waited too long, and look again in time."""
        self._armed_for = math.inf
        dues = [due for due in (self._look(now), self._expire(now)) if due is not None]
        if dues:
            self._wheel.arm(self, min(dues))

    def _look(self, now: float) -> float | None:
        """Return when the worker will be late, if it is at something; end it if it is."""
        if self.worker is None or self.ending or (self.ready and not self._sent):
            return None
        head = self._sent[0] if self._sent else None
        due = self._head_since + START_SECONDS
        if head is not None:
            due = self._head_since + head.patience + GRACE_SECONDS
        if now < due:
            return due
        if head is not None and self._late is not head:
            self._late = head
            return now + SECOND_LOOK_SECONDS
        self.kill("Start" if head is None else "Timeout")
        return None

    def _expire(self, now: float) -> float | None:
        """Let go the calls that waited too long; return when the next one will have."""
        patience = self._services.queue_seconds
        calls = [call for call in self._waiting if isinstance(call, Call) and not call.done]
        late = [call for call in calls if now >= call.arrived + patience]
        for call in late:
            call.go(self._services.queued, now)
            self._keeper.on_expired(call, now)
        rest = (call.arrived + patience for call in calls if now < call.arrived + patience)
        return min(rest, default=None)
