"""Laws of the call path, whatever happens in whatever order.

Every call is answered once or its caller is gone; every binding that came to be is given back once,
with one cause; the counters agree with what is there.
"""

from __future__ import annotations

import itertools
from collections import Counter

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from pluginsandbox.host.contexts import Binding, Cause, ContextTable
from tests.unit.host.fake_runtime import Bench, FakeWorker, config, plugin

CONTEXTS = st.sampled_from(["a", "b", "c", None])
PLUGINS = st.sampled_from(["shared", "sharded", "own", "overlapping", "overlapping-own"])
BODIES = st.sampled_from([b"1", b"1", b"1", b"raise", b"slow", b"start", b"arguments"])
CAUSES: st.SearchStrategy[Cause] = st.sampled_from(["Released", "Idle", "Deadline"])


class CallPath(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.ends: Counter[int] = Counter()
        self.abandoned: set[int] = set()

    @initialize()
    def open(self) -> None:
        self.bench = Bench(
            config(
                plugin("shared", call_timeout_milliseconds=100, max_contexts=3),
                plugin("sharded", workers=2, max_contexts=3),
                plugin("own", own=True, max_contexts=3),
                plugin("overlapping", concurrency=2, max_contexts=3),
                plugin("overlapping-own", own=True, concurrency=3, max_contexts=3),
                max_queued_calls=6,
                queue_timeout_milliseconds=3000,
                idle_timeout_seconds=20,
                deadline_seconds=60,
                warm_workers=1,
            )
        )
        unbind = ContextTable.unbind
        ends = self.ends

        def counted(
            table: ContextTable, binding: Binding, cause: Cause | None, detail: str = ""
        ) -> None:
            ends[binding.generation] += 1
            unbind(table, binding, cause, detail)

        self.bench.host.table.unbind = counted.__get__(self.bench.host.table)  # type: ignore[method-assign]

    def workers(self) -> list[FakeWorker]:
        return self.bench.runtime.living

    @rule(
        body=BODIES, context=CONTEXTS, to=PLUGINS, existing=st.sampled_from([None, None, None, 0])
    )
    def call(self, body: bytes, context: str | None, to: str, existing: int | None) -> None:
        self.bench.call(body, context, to, existing=existing)

    @rule(context=CONTEXTS, to=PLUGINS, seconds=st.sampled_from([0.01, 0.05, 1.0, 5.0]))
    def call_in_a_hurry(self, context: str | None, to: str, seconds: float) -> None:
        self.bench.call(b"1", context, to, seconds=seconds)

    @rule(data=st.data())
    @precondition(lambda self: self.bench.calls)
    def hang_up(self, data: st.DataObject) -> None:
        index = data.draw(st.integers(0, len(self.bench.calls) - 1))
        if not self.bench.calls[index].answer.count:
            self.abandoned.add(index)
        self.bench.host.invoker.abandon(self.bench.calls[index])

    @rule(data=st.data(), steps=st.integers(1, 20))
    def work(self, data: st.DataObject, steps: int) -> None:
        for _ in range(steps):
            able = [worker for worker in self.workers() if worker.inbox and not worker.killed]
            if not able:
                return
            worker = data.draw(st.sampled_from(able))
            overlaps = worker.plugin.config.limits.concurrency > 1
            last = len(worker.inbox) - 1 if overlaps else 0
            worker.step(data.draw(st.integers(0, last)))

    @rule(data=st.data())
    def start(self, data: st.DataObject) -> None:
        starting = [worker for worker in self.workers() if not worker.serving and not worker.killed]
        if starting:
            data.draw(st.sampled_from(starting)).ready()

    @rule(data=st.data())
    def die(self, data: st.DataObject) -> None:
        if self.workers():
            data.draw(st.sampled_from(self.workers())).die()

    @rule()
    def bury(self) -> None:
        for worker in self.workers():
            if worker.killed:
                worker.die()

    @rule(seconds=st.sampled_from([0.001, 0.02, 0.3, 1.5, 10.0, 30.0]))
    def wait(self, seconds: float) -> None:
        self.bench.advance(seconds)

    @rule(name=st.sampled_from(["a", "b", "c"]), cause=CAUSES)
    def end(self, name: str, cause: Cause) -> None:
        if self.bench.host.table.get("", name) is not None:
            self.bench.end(name, cause)

    @rule()
    def everything_runs(self) -> None:
        self.bench.run()

    @invariant()
    def nothing_ends_twice(self) -> None:
        assert not [end for end, count in self.ends.items() if count > 1]
        assert all(call.answer.count <= 1 for call in self.bench.calls)

    @invariant()
    def no_context_has_more_calls_than_it_may(self) -> None:
        for worker in self.workers():
            limit = worker.plugin.config.limits.concurrency
            if limit > 1:
                calls = Counter(frame.context for frame in worker.inbox if not frame.cause)
                assert all(count <= limit for count in calls.values())

    @invariant()
    def counters_agree(self) -> None:
        host = self.bench.host
        bound = Counter(b.plugin.name for context in host.table for b in context.bindings)
        for name, target in host.plugins.items():
            assert target.bindings == bound[name] <= target.config.limits.max_contexts
            assert 0 <= target.queued <= target.calls
        assert host.load.queued.count == sum(target.queued for target in host.plugins.values())
        assert host.load.calls.count == sum(target.calls for target in host.plugins.values())
        for context in host.table:
            assert context.active >= 0
            for binding in context.bindings:
                assert binding.lane.bindings[binding.generation] is binding

    def teardown(self) -> None:
        if not hasattr(self, "bench"):
            return
        host = self.bench.host
        for _ in itertools.repeat(None, 50):
            self.bench.run()
            self.bench.advance(2)
        for index, call in enumerate(self.bench.calls):
            assert call.answer.count == (0 if index in self.abandoned else 1), call.body
        host.invoker.draining = host.outcomes.closing = True
        for context in host.table:
            host.reclaimer.end(context, "Shutdown")
        for _ in itertools.repeat(None, 5):
            self.bench.run()
            self.bench.advance(6)
        assert len(host.table) == 0
        assert host.load.calls.count == host.load.queued.count == 0
        assert not any(lane.bindings for p in host.plugins.values() for lane in p.pool.lanes)  # type: ignore[union-attr]
        reclaimed = sum(sum(self.bench.reclaims(name).values()) for name in host.plugins)
        assert reclaimed <= len(self.ends)


TestCallPath = CallPath.TestCase
TestCallPath.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)
