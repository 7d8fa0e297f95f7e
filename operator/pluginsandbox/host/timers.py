"""One structure for every deadline of a host: contexts, calls, workers, connections.

A hundred thousand contexts must not cost a timer task each, and a call must not pay for a timer it
never needs. So a timer is an entry in a bucket of a wheel, and it is *lazy*: its owner keeps the
time it is due in a field of its own, moves that field freely, and is asked again when the bucket's
time comes. Only bringing a timer forward, or taking it away, touches the wheel.
"""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable
from typing import Protocol

# Fine enough for a time-out of a few milliseconds, coarse enough to share wake-ups.
RESOLUTION_SECONDS = 0.01
NOWHERE = 0

# In place of each bucket that became empty before its time: a table that has grown does not shrink,
# and contexts that were idle for a moment would leave one for every quarter of a second.
_EMPTY: dict[Timed, None] = {}


class Timed(Protocol):
    """What can be put on the wheel."""

    tick: int
    """Where it is on the wheel, `NOWHERE` at first; the wheel's own."""

    def on_timer(self, now: float) -> None:
        """Look at the clock; it is off the wheel now and arms itself again if it wants."""


class Wheel:
    """Entries by the tick at which they are due; pure, so a test can hold the clock.

    Args:
        resolution: Seconds of a tick. An entry comes due at most this late and never early.

    """

    def __init__(self, resolution: float = RESOLUTION_SECONDS) -> None:
        self._resolution = resolution
        # A bucket is a dict, not a set: its order is the same in every run.
        self._buckets: dict[int, dict[Timed, None]] = {}
        self._ticks: list[int] = []
        self._past = NOWHERE
        self.on_earlier: Callable[[], None] | None = None
        """Called when the next due time became earlier."""

    def arm(self, item: Timed, due: float) -> None:
        """Have `item.on_timer` called once `due` has passed, or earlier if it was so armed."""
        tick = max(int(due / self._resolution), self._past) + 1
        if item.tick:
            if item.tick <= tick:
                return
            self.disarm(item)
        item.tick = tick
        bucket = self._buckets.get(tick)
        if bucket:
            bucket[item] = None
            return
        self._buckets[tick] = {item: None}
        if bucket is not None:
            return
        heapq.heappush(self._ticks, tick)
        if self._ticks[0] == tick and self.on_earlier is not None:
            self.on_earlier()

    def disarm(self, item: Timed) -> None:
        """Take an entry away; does nothing when it is not there."""
        tick, item.tick = item.tick, NOWHERE
        bucket = self._buckets.get(tick)
        if bucket is not None:
            bucket.pop(item, None)
            if not bucket:
                self._buckets[tick] = _EMPTY

    def expire(self, now: float) -> int:
        """Call every entry whose time has come and return how many there were."""
        count = 0
        # A millionth of a tick is the rounding error between `next_due` and here.
        self._past = max(self._past, int(now / self._resolution + 1e-6))
        while self._ticks and self._ticks[0] <= self._past:
            bucket = self._buckets[self._ticks[0]]
            while bucket:
                # One at a time: an entry's `on_timer` may disarm another of the same bucket.
                item, _ = bucket.popitem()
                item.tick = NOWHERE
                item.on_timer(now)
                count += 1
            del self._buckets[heapq.heappop(self._ticks)]
        return count

    def next_due(self) -> float | None:
        """Return the time of the earliest bucket in seconds, None if there is none."""
        return self._ticks[0] * self._resolution if self._ticks else None

    def __len__(self) -> int:
        return sum(map(len, self._buckets.values()))


class Alarm:
    """Turns the wheel by the event loop: one timer of the loop, whatever is armed.

    Args:
        wheel: What to turn.
        loop: The host's event loop.
        clock: Seconds; the clock that every `due` is measured by.

    """

    def __init__(
        self, wheel: Wheel, loop: asyncio.AbstractEventLoop, clock: Callable[[], float]
    ) -> None:
        self._wheel = wheel
        self._loop = loop
        self._clock = clock
        self._handle: asyncio.TimerHandle | None = None
        wheel.on_earlier = self._set

    def _set(self) -> None:
        self.stop()
        due = self._wheel.next_due()
        if due is not None:
            # The loop's clock may be coarser than ours and ring early by its own grain.
            delay = max(0.001, due - self._clock() + 0.001)
            self._handle = self._loop.call_later(delay, self._ring)

    def _ring(self) -> None:
        self._handle = None
        self._wheel.on_earlier = None
        try:
            self._wheel.expire(self._clock())
        finally:
            self._wheel.on_earlier = self._set
            self._set()

    def stop(self) -> None:
        """Ring no more until something is armed."""
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None
