"""A lane whose worker is at several calls at once: they end in any order, each by its own clock.

Only with `limits.concurrency` above 1. A context never has more calls in the worker than that. As
the worker is at all that it was sent, none of it can be tried again when the worker dies.
"""

from __future__ import annotations

from pluginsandbox.host.calls import Call, Errand
from pluginsandbox.host.contexts import UNBOUND, State
from pluginsandbox.host.frames import Checkpoint, Log
from pluginsandbox.host.keeper import Item, Services
from pluginsandbox.host.lane import (
    GRACE_SECONDS,
    SECOND_LOOK_SECONDS,
    WINDOW_BYTES,
    WINDOW_FRAMES,
    Lane,
)
from pluginsandbox.host.plugins import Plugin
from pluginsandbox.host.runtime import Worker, WorkerExit
from pluginsandbox.sdk.durable import Slots


def make_lane(plugin: Plugin, services: Services, *, own: bool) -> Lane:
    """Make the kind of lane that a plugin needs; arguments as of `Lane`."""
    overlaps = plugin.config.limits.concurrency > 1
    return (OverlappingLane if overlaps else Lane)(plugin, services, own=own)


class OverlappingLane(Lane):
    """See the module; arguments as of `Lane`."""

    overlap = WINDOW_FRAMES

    def __init__(self, plugin: Plugin, services: Services, *, own: bool) -> None:
        super().__init__(plugin, services, own=own)
        self._concurrency = plugin.config.limits.concurrency
        self._running: dict[int, int] = {}
        """Calls in the worker, by generation of their binding."""
        self._begun: dict[int, float] = {}
        """When each item was sent, by its number."""

    # --- towards the worker ----------------------------------------------------------------------

    def push(self, call: Call, now: float) -> None:
        """Take a call; those of other contexts that cannot go yet do not hold it back."""
        super().push(call, now)
        if call.queued:
            self._fill(now)

    def _goes(self, item: Item) -> bool:
        if len(self._sent) >= WINDOW_FRAMES or (
            self._sent and self._bytes + len(item.body) > WINDOW_BYTES
        ):
            return False
        running = self._running.get(item.binding.generation, 0)
        if isinstance(item, Errand):
            return not running
        return running < self._concurrency and item.binding.state is not State.BINDING

    def _send(self, item: Item, now: float) -> None:
        super()._send(item, now)
        self._begun[item.id] = now
        if isinstance(item, Call):
            generation = item.binding.generation
            self._running[generation] = self._running.get(generation, 0) + 1
        due = self._due(item)
        if due < self._armed_for:
            self._armed_for = due
            self._wheel.arm(self, due)

    def _begin(self, item: Item, now: float) -> None:
        """Do nothing: each item has a clock of its own."""

    def _fill(self, now: float) -> None:
        """Send what waits and may go; calls of one context keep their order."""
        held: set[int] = set()
        for item in tuple(self._waiting):
            if not self.ready or len(self._sent) >= WINDOW_FRAMES:
                return
            binding = item.binding
            if item not in self._waiting:  # went with another
                continue
            if item.done:
                self._waiting.remove(item)
            elif isinstance(item, Call) and (binding.state in UNBOUND or binding.lane is not self):
                self._unplace(binding, now)
            elif binding.generation in held or not self._goes(item):
                held.add(binding.generation)
            else:
                self._waiting.remove(item)
                self._send_waiting(item, now)

    def _send_waiting(self, item: Item, now: float) -> None:
        if isinstance(item, Call):
            item.go(self._services.queued, now)
        elif item.binding.state is not State.LIVE:
            self._keeper.on_given_back(item, now)
            return
        self._send(item, now)

    # --- from the worker -------------------------------------------------------------------------

    def on_checkpoint(self, worker: Worker, call: int, point: Checkpoint, slots: Slots) -> None:
        """End a worker that has no durable slots and says so."""
        del worker, call, point, slots
        self.kill("Protocol")

    def on_log(self, worker: Worker, log: Log) -> None:
        """Pass on what the plugin said, with whose call it was."""
        del worker
        known = next((item for item in self._sent if item.id == log.call), None)
        self._keeper.on_log(self, known, log)

    def _take(self, number: int) -> Item | None:
        item = next((item for item in self._sent if item.id == number), None)
        if item is None or self.ending == "Protocol":
            return None
        self._sent.remove(item)
        self._bytes -= len(item.body)
        self._head_since = self._begun.pop(number)
        if isinstance(item, Call):
            self._forget(item.binding.generation)
        return item

    def _forget(self, generation: int) -> None:
        left = self._running[generation] - 1
        if left:
            self._running[generation] = left
        else:
            del self._running[generation]

    def _hand_back(self, end: WorkerExit) -> None:
        late = self._late
        if late is not None and late in self._sent:  # whose fault it is comes first
            self._sent.remove(late)
            self._sent.appendleft(late)
        self._running.clear()
        self._begun.clear()
        super()._hand_back(end)

    # --- time ------------------------------------------------------------------------------------

    def _due(self, item: Item) -> float:
        """Return when an item is late: others may hold the worker at its beginning and its end."""
        return (
            self._begun[item.id] + item.patience + 2 * self.plugin.timeout_seconds + GRACE_SECONDS
        )

    def _look(self, now: float) -> float | None:
        if not self.ready or self.ending or not self._sent:
            return super()._look(now)
        item = min(self._sent, key=self._due)
        due = self._due(item)
        if now < due:
            return due
        if self._late is not item:
            self._late = item
            return now + SECOND_LOOK_SECONDS
        self.kill("Timeout")
        return None
