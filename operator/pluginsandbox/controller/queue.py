"""The work queue between what was seen and what is done about it.

`watch` adds keys, the workers of `operator` take them. Laws, held by tests:

- one key is never with two workers at once;
- a key that is added while a worker has it comes again after `done`;
- nothing that was added is lost, and a key waits at most once, however often it was added;
- taking a key answers all that was asked for it before, delayed requests included.

`WorkQueue` knows time only as numbers that it is given; `AsyncQueue` brings clock and waiting.
"""

from __future__ import annotations

import asyncio
import heapq
import random
from collections import deque
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

KeyT = TypeVar("KeyT", bound=Hashable)

FIRST_RETRY_SECONDS = 0.1
LAST_RETRY_SECONDS = 60.0
JITTER = 0.2
_MAX_DOUBLINGS = 16


class WorkQueue(Generic[KeyT]):
    """Keys that wait, keys that wait for their time, and keys that workers have.

    Args:
        rng: Source of jitter.

    """

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._ready: deque[KeyT] = deque()
        self._waiting: set[KeyT] = set()
        self._processing: set[KeyT] = set()
        self._again: set[KeyT] = set()
        self._due: dict[KeyT, float] = {}
        self._heap: list[tuple[float, int, KeyT]] = []
        self._sequence = 0
        self._failures: dict[KeyT, int] = {}

    def __len__(self) -> int:
        return len(self._ready) + len(self._again)

    @property
    def ready(self) -> bool:
        """Whether `take` would give a key without waiting for a moment or for `done`."""
        return bool(self._ready)

    def add(self, key: KeyT) -> None:
        """Ask for the key now."""
        if key in self._processing:
            self._again.add(key)
        elif key not in self._waiting:
            self._waiting.add(key)
            self._ready.append(key)

    def add_at(self, key: KeyT, moment: float) -> None:
        """Ask for the key at a moment; the earliest request for it counts."""
        if moment < self._due.get(key, float("inf")):
            self._due[key] = moment
            self._sequence += 1
            heapq.heappush(self._heap, (moment, self._sequence, key))

    def retry_at(
        self, key: KeyT, now: float, at_least: float = 0.0, at_most: float = LAST_RETRY_SECONDS
    ) -> float:
        """Ask for the key after its back-off, within these seconds; return the seconds."""
        failures = self._failures[key] = self._failures.get(key, 0) + 1
        delay = FIRST_RETRY_SECONDS * 2.0 ** min(failures - 1, _MAX_DOUBLINGS)
        delay = self.jittered(max(min(delay, at_most), at_least))
        self.add_at(key, now + delay)
        return delay

    def jittered(self, seconds: float) -> float:
        """Return a little more than `seconds`, so that many keys spread out."""
        return seconds * (1.0 + JITTER * self._rng.random())

    def forget(self, key: KeyT) -> None:
        """The key succeeded: its next failure starts with the shortest back-off."""
        self._failures.pop(key, None)

    def drop(self, key: KeyT) -> None:
        """The object is gone: no timer and no back-off of it stays."""
        self._due.pop(key, None)
        self.forget(key)

    def take(self, now: float) -> KeyT | None:
        """Give the next key to a worker, or None if none is due."""
        self._promote(now)
        if not self._ready:
            return None
        key = self._ready.popleft()
        self._waiting.discard(key)
        self._due.pop(key, None)
        self._processing.add(key)
        return key

    def done(self, key: KeyT) -> None:
        """The worker has finished with the key, whatever came of it."""
        self._processing.discard(key)
        if key in self._again:
            self._again.discard(key)
            self.add(key)

    def next_due(self) -> float | None:
        """Return the moment of the earliest delayed request, or None."""
        while self._heap and self._due.get(self._heap[0][2]) != self._heap[0][0]:
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def _promote(self, now: float) -> None:
        while (moment := self.next_due()) is not None and moment <= now:
            key = heapq.heappop(self._heap)[2]
            del self._due[key]
            self.add(key)


class AsyncQueue(Generic[KeyT]):
    """A `WorkQueue` that workers can wait on; one timer serves all delayed keys.

    Args:
        clock: Monotonic seconds.
        rng: Source of jitter.
        on_depth: Told how many keys wait, whenever that may have changed.

    """

    def __init__(
        self,
        clock: Callable[[], float],
        rng: random.Random | None = None,
        on_depth: Callable[[int], None] = lambda _: None,
    ) -> None:
        self._clock = clock
        self._core: WorkQueue[KeyT] = WorkQueue(rng or random.Random())  # noqa: S311 - jitter
        self._on_depth = on_depth
        self._waiters: deque[asyncio.Future[None]] = deque()
        self._timer: asyncio.TimerHandle | None = None

    def add(self, key: KeyT) -> None:
        """Ask for the key now."""
        self._core.add(key)
        self._changed()

    def add_after(self, key: KeyT, seconds: float, *, jitter: bool = False) -> None:
        """Ask for the key in so many seconds, or a little later with `jitter`."""
        delay = self._core.jittered(seconds) if jitter else seconds
        self._core.add_at(key, self._clock() + delay)
        self._set_timer()

    def retry(self, key: KeyT, at_least: float = 0.0, at_most: float = LAST_RETRY_SECONDS) -> float:
        """Ask for the key after its back-off; return the seconds until then."""
        delay = self._core.retry_at(key, self._clock(), at_least, at_most)
        self._set_timer()
        return delay

    def forget(self, key: KeyT) -> None:
        """The key succeeded."""
        self._core.forget(key)

    def drop(self, key: KeyT) -> None:
        """The object is gone."""
        self._core.drop(key)

    async def take(self) -> KeyT:
        """Wait for a key and take it; the caller must call `done` with it."""
        while (key := self._core.take(self._clock())) is None:
            await self._wait()
        self._changed()
        return key

    def done(self, key: KeyT) -> None:
        """The worker has finished with the key."""
        self._core.done(key)
        self._changed()

    async def _wait(self) -> None:
        waiter = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        self._set_timer()
        try:
            await waiter
        except asyncio.CancelledError:
            if waiter.done() and not waiter.cancelled():
                self._wake()  # the call that this worker no longer answers goes to another
            raise

    def _changed(self) -> None:
        self._on_depth(len(self._core))
        if self._core.ready:
            self._wake()

    def _wake(self) -> None:
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return

    def _set_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        moment = self._core.next_due()
        if moment is not None and self._waiters:
            delay = max(0.0, moment - self._clock())
            self._timer = asyncio.get_running_loop().call_later(delay, self._wake)
