"""The workers of one plugin: how many, which one a new binding gets, when one is replaced.

`Sharded` is isolation PerPlugin: a fixed number of lanes that share the contexts out. `PerContext`
gives each binding a lane of its own, from a few that were started in advance.
"""

from __future__ import annotations

import abc

from pluginsandbox.host.keeper import Services
from pluginsandbox.host.lane import Lane
from pluginsandbox.host.lane_overlap import make_lane
from pluginsandbox.host.plugins import Plugin
from pluginsandbox.host.runtime import WorkerExit
from pluginsandbox.host.timers import NOWHERE

# The first worker that dies is replaced at once; one that keeps dying must not keep the CPU busy.
BACK_OFF_SECONDS = 0.05
BACK_OFF_LIMIT_SECONDS = 5.0
# A worker that served this long is no sign of a plugin that cannot live.
STABLE_SECONDS = 5.0
# Starting a worker takes CPU from the call that took the last one: let that call go first.
REPLENISH_SECONDS = 0.01


class BackOff:
    """How long to wait before the next worker is started."""

    def __init__(self) -> None:
        self._failures = 0
        self.until = 0.0
        """Not before this time, in seconds on the host's clock."""

    def died(self, now: float, lived: float) -> None:
        """Note that a worker died after serving for `lived` seconds."""
        if lived >= STABLE_SECONDS:
            self._failures = 0
        self._failures += 1
        if self._failures > 1:
            delay = BACK_OFF_SECONDS * 2 ** min(self._failures - 2, 10)
            self.until = now + min(delay, BACK_OFF_LIMIT_SECONDS)


class Pool(abc.ABC):
    """The workers of a plugin.

    Args:
        plugin: Which.
        services: What its lanes work with.

    """

    def __init__(self, plugin: Plugin, services: Services) -> None:
        self.plugin = plugin
        self.lanes: dict[Lane, None] = {}
        self.tick = NOWHERE
        self._services = services
        self._back_off = BackOff()
        self._to_start: list[tuple[Lane, str]] = []
        self._closed = False

    @abc.abstractmethod
    def open(self) -> None:
        """Start the first workers."""

    @abc.abstractmethod
    def peek(self) -> Lane | None:
        """Return the lane that a new binding would get; None for one that has yet to be made."""

    @abc.abstractmethod
    def choose(self, panicked: str = "") -> Lane:
        """Return a lane for a new binding.

        Args:
            panicked: How the worker died that had this binding before; with `PerContext` the next
                one is told.

        """

    def lost(self, lane: Lane, end: WorkerExit, now: float) -> None:
        """Take note that a lane's worker is gone; start another where one is missing."""
        lived = now - lane.ready_since if lane.ready_since else 0.0
        lane.ready_since = 0.0
        # A worker that is late cost its time-out already; others that the host ends are no fault.
        if not lane.ending or lane.ending in {"Protocol", "Start"}:
            self._died(lane, now, lived)
        if not self._closed:
            self._replace(lane, end)

    def close(self) -> None:
        """End all workers; none is started any more."""
        self._closed = True
        self._to_start.clear()
        for lane in tuple(self.lanes):
            lane.kill("Shutdown")

    @property
    def empty(self) -> bool:
        """Whether no worker is left."""
        return all(lane.worker is None for lane in self.lanes)

    def on_timer(self, now: float) -> None:
        """Start what was put off."""
        if self._closed:
            return
        starting, self._to_start = self._to_start, []
        for lane, panicked in starting:
            self._start(lane, panicked)
        self._top_up(now)

    @abc.abstractmethod
    def serves(self, lane: Lane) -> None:
        """Take note that a worker is ready."""

    def _died(self, lane: Lane, now: float, lived: float) -> None:
        del lane
        self._back_off.died(now, lived)

    def _start(self, lane: Lane, panicked: str = "") -> None:
        if self._services.clock() >= self._back_off.until:
            lane.start(panicked)
        else:
            self._to_start.append((lane, panicked))
            self._services.wheel.arm(self, self._back_off.until)

    @abc.abstractmethod
    def _replace(self, lane: Lane, end: WorkerExit) -> None:
        """Start another worker for a lane that lost its own, or let the lane go."""

    @abc.abstractmethod
    def _top_up(self, now: float) -> None:
        """Start workers that nobody waits for yet."""


class Sharded(Pool):
    """A fixed number of lanes; each context stays with the lane it got."""

    def open(self) -> None:
        """Start them all."""
        for _ in range(self.plugin.config.limits.workers):
            lane = make_lane(self.plugin, self._services, own=False)
            self.lanes[lane] = None
            lane.start()

    def peek(self) -> Lane:
        """Return the lane with the fewest bindings."""
        return min(self.lanes, key=lambda lane: len(lane.bindings))

    def choose(self, panicked: str = "") -> Lane:
        """Return the lane with the fewest bindings; its worker was told already."""
        del panicked
        return self.peek()

    def serves(self, lane: Lane) -> None:
        """Do nothing: a worker that starts and dies of each call still needs the back-off."""

    def _replace(self, lane: Lane, end: WorkerExit) -> None:
        self._start(lane, end.detail)

    def _top_up(self, now: float) -> None:
        """Do nothing: there are no others."""


class PerContext(Pool):
    """A lane for each binding.

    Args:
        plugin: Which.
        services: What its lanes work with.
        warm: How many workers are kept that nobody has yet.

    """

    def __init__(self, plugin: Plugin, services: Services, warm: int) -> None:
        super().__init__(plugin, services)
        self._warm = warm
        self._idle: dict[Lane, None] = {}
        """Lanes that nobody has, oldest first."""
        self._starting: dict[Lane, None] = {}
        """Lanes whose worker does not serve yet."""

    def open(self) -> None:
        """Start the first of the warm ones."""
        self._top_up(self._services.clock())

    def peek(self) -> Lane | None:
        """Return a lane that nobody has, best one whose worker is ready."""
        return next((lane for lane in self._idle if lane.ready), next(iter(self._idle), None))

    def choose(self, panicked: str = "") -> Lane:
        """Return a lane that nobody has; one whose worker is told when the last one died."""
        lane = None if panicked else self.peek()
        if lane is None:
            lane = self._new(panicked)
        else:
            del self._idle[lane]
        self._services.wheel.arm(self, self._services.clock() + REPLENISH_SECONDS)
        return lane

    def serves(self, lane: Lane) -> None:
        """Trust the plugin again: its workers do start. One that nobody has yet proves nothing."""
        self._starting.pop(lane, None)
        now = self._services.clock()
        if lane in self._idle:
            self._top_up(now)
        else:
            self._back_off = BackOff()
            self._services.wheel.arm(self, now + REPLENISH_SECONDS)

    def _died(self, lane: Lane, now: float, lived: float) -> None:
        # Once it served, its end concerns one context: the others' workers must not wait for it.
        # One that dies though nobody called it would otherwise be started again for ever.
        if not lived or lane in self._idle:
            self._back_off.died(now, lived)

    def _new(self, panicked: str = "") -> Lane:
        lane = make_lane(self.plugin, self._services, own=True)
        self.lanes[lane] = self._starting[lane] = None
        self._start(lane, panicked)
        return lane

    def _top_up(self, now: float) -> None:
        # One after the other, and none while a call waits for a worker of its own: to start one is
        # milliseconds of CPU, and the next context gets the one that is under way.
        if self._starting or len(self._idle) >= self._warm:
            return
        if now < self._back_off.until:
            self._services.wheel.arm(self, self._back_off.until)
            return
        self._idle[self._new()] = None

    def _replace(self, lane: Lane, end: WorkerExit) -> None:
        del end
        self.lanes.pop(lane, None)
        self._idle.pop(lane, None)
        self._starting.pop(lane, None)
        # Else the wheel would keep it until its worker's latest start: thousands, under load.
        self._services.wheel.disarm(lane)
        self._services.wheel.arm(self, self._services.clock() + REPLENISH_SECONDS)
