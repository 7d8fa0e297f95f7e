"""The laws of the work queue, for any order of requests and workers."""

from __future__ import annotations

import asyncio
import random

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, rule

from pluginsandbox.controller.queue import (
    FIRST_RETRY_SECONDS,
    JITTER,
    LAST_RETRY_SECONDS,
    AsyncQueue,
    WorkQueue,
)

KEYS = st.sampled_from(["a", "b", "c", "d"])
DELAYS = st.floats(min_value=0, max_value=100)


def rng() -> random.Random:
    return random.Random(1)  # noqa: S311 - jitter, the same in every run


class QueueLaws(RuleBasedStateMachine):
    """Compares the queue with a model: which keys are owed a turn, and since when they may."""

    taken = Bundle("taken")

    def __init__(self) -> None:
        super().__init__()
        self.queue: WorkQueue[str] = WorkQueue(rng())
        self.now = 0.0
        self.owed: dict[str, float] = {}
        self.working: set[str] = set()

    def owe(self, key: str, moment: float) -> None:
        self.owed[key] = min(moment, self.owed.get(key, moment))

    @rule(key=KEYS)
    def add(self, key: str) -> None:
        self.queue.add(key)
        self.owe(key, self.now)

    @rule(key=KEYS, delay=DELAYS)
    def add_later(self, key: str, delay: float) -> None:
        self.queue.add_at(key, self.now + delay)
        self.owe(key, self.now + delay)

    @rule(key=KEYS, at_least=DELAYS)
    def fail(self, key: str, at_least: float) -> None:
        delay = self.queue.retry_at(key, self.now, at_least)
        assert at_least <= delay <= max(LAST_RETRY_SECONDS, at_least) * (1 + JITTER)
        self.owe(key, self.now + delay)

    @rule(delay=DELAYS)
    def wait(self, delay: float) -> None:
        self.now += delay

    @rule(target=taken)
    def take(self) -> str | None:
        due = {key for key, moment in self.owed.items() if moment <= self.now}
        key = self.queue.take(self.now)
        if key is None:
            assert due <= self.working
            return None
        assert key not in self.working
        assert key in due
        self.working.add(key)
        del self.owed[key]
        return key

    @rule(key=taken)
    def done(self, key: str | None) -> None:
        if key in self.working:
            self.working.discard(key)
            self.queue.done(key)

    @invariant()
    def next_due_is_never_later_than_what_is_owed(self) -> None:
        future = [moment for moment in self.owed.values() if moment > self.now]
        if future and len(self.queue) == 0:
            due = self.queue.next_due()
            assert due is not None
            assert due <= min(future)

    def teardown(self) -> None:
        """Nothing is lost: with time and free workers every key that is owed comes."""
        for key in self.working:
            self.queue.done(key)
        seen = set()
        while (left := self.queue.take(self.now + 1e6)) is not None:
            assert left not in seen
            seen.add(left)
        assert seen == set(self.owed)


QueueLaws.TestCase.settings = settings(max_examples=80, stateful_step_count=30, deadline=None)
TestQueueLaws = QueueLaws.TestCase


def test_back_off_doubles_and_ends_and_success_forgets_it() -> None:
    queue: WorkQueue[str] = WorkQueue(rng())
    delays = [queue.retry_at("a", 0.0) for _ in range(20)]
    for power, delay in enumerate(delays):
        base = min(FIRST_RETRY_SECONDS * 2**power, LAST_RETRY_SECONDS)
        assert base <= delay <= base * (1 + JITTER)
    queue.forget("a")
    assert queue.retry_at("a", 0.0) <= FIRST_RETRY_SECONDS * (1 + JITTER)


def test_a_dropped_key_leaves_nothing_behind() -> None:
    queue: WorkQueue[str] = WorkQueue(rng())
    queue.add_at("a", 5.0)
    queue.retry_at("a", 0.0)
    queue.drop("a")
    assert queue.next_due() is None
    assert queue.take(1000.0) is None


async def test_workers_wait_and_share_what_comes() -> None:
    loop = asyncio.get_running_loop()
    depths: list[int] = []
    queue: AsyncQueue[int] = AsyncQueue(loop.time, on_depth=depths.append)
    seen: list[int] = []
    all_seen = asyncio.Event()

    async def worker() -> None:
        while True:
            key = await queue.take()
            await asyncio.sleep(0)
            seen.append(key)
            queue.done(key)
            if len(seen) == 11:
                all_seen.set()

    workers = [asyncio.create_task(worker()) for _ in range(3)]
    await asyncio.sleep(0)
    for key in range(10):
        queue.add(key)
    queue.add_after(10, 0.01)
    async with asyncio.timeout(5):
        await all_seen.wait()
    assert sorted(seen) == list(range(11))
    assert max(depths) == 10
    assert depths[-1] == 0
    for task in workers:
        task.cancel()
    await asyncio.gather(*workers, return_exceptions=True)


async def test_a_cancelled_worker_passes_its_call_on() -> None:
    queue: AsyncQueue[str] = AsyncQueue(asyncio.get_running_loop().time)
    first = asyncio.create_task(queue.take())
    second = asyncio.create_task(queue.take())
    await asyncio.sleep(0)
    queue.add("a")
    first.cancel()
    async with asyncio.timeout(5):
        assert await second == "a"
    assert first.cancelled()
