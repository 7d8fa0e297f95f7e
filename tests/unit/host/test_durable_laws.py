"""Laws of durable slots, whatever dies and whenever.

An acknowledged change is there for the next call, whichever worker serves it; one whose worker died
before it was heard has left nothing; what the host holds is what the next call sees.
"""

from __future__ import annotations

import itertools
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from pluginsandbox.host.contexts import Binding, Cause, ContextTable, State
from tests.unit.host.fake_runtime import Bench, FakeWorker, Frame, config, plugin

PLUGINS = st.sampled_from(["durable", "durable-sharded", "durable-own"])
BODIES = st.sampled_from(
    [b"count", b"count", b"count", b"raise", b"slow", b"start", b"refuse", b"lie", b"fat", b"1"]
)
CAUSES: st.SearchStrategy[Cause] = st.sampled_from(["Released", "Idle", "Deadline", "Evicted"])
Key = tuple[str, str]


class Durability(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.counts: dict[Key, int] = {}
        """Changes that the host has heard of, in the life of each binding."""

    @initialize()
    def open(self) -> None:
        self.bench = Bench(
            config(
                plugin("durable", call_timeout_milliseconds=100, durable_bytes=100),
                plugin("durable-sharded", workers=2),
                plugin("durable-own", own=True, max_contexts=2),
                max_queued_calls=6,
                idle_timeout_seconds=20,
                warm_workers=1,
            )
        )
        unbind, counts = ContextTable.unbind, self.counts

        def forgetting(table: ContextTable, binding: Binding, *rest: Any) -> None:
            counts.pop(key(binding), None)
            unbind(table, binding, *rest)

        self.bench.host.table.unbind = forgetting.__get__(self.bench.host.table)  # type: ignore[method-assign]

    def able(self) -> list[FakeWorker]:
        return [w for w in self.bench.runtime.living if w.inbox and not w.killed]

    @rule(body=BODIES, context=st.sampled_from(["a", "b"]), to=PLUGINS, times=st.integers(1, 3))
    def call(self, body: bytes, context: str, to: str, times: int) -> None:
        for _ in range(times):
            self.bench.call(body, context, to)

    @rule(body=st.sampled_from([b"count", b"raise"]), to=PLUGINS)
    def call_without_context(self, body: bytes, to: str) -> None:
        self.bench.call(body, None, to)

    @rule(data=st.data(), steps=st.integers(1, 8))
    def work(self, data: st.DataObject, steps: int) -> None:
        for _ in range(steps):
            if able := self.able():
                self.step(data.draw(st.sampled_from(able)))

    def step(self, worker: FakeWorker) -> None:
        frame = worker.inbox[0]
        call = next(
            (c for c in self.bench.calls if serves(getattr(c, "binding", None), worker, frame)),
            None,
        )
        worker.step()
        changes = frame.body in {b"count", b"raise"} and not worker.killed and not frame.cause
        if changes and call is not None and not call.binding.context.fresh:
            binding = call.binding
            self.counts[key(binding)] = self.counts.get(key(binding), 0) + 1
            assert worker.counts[frame.context] == self.counts[key(binding)]

    def do_all(self) -> None:
        while starting := [w for w in self.bench.runtime.living if not w.serving or w.killed]:
            for worker in starting:
                worker.die() if worker.killed else worker.ready()
        while able := self.able():
            self.step(able[0])

    @rule(data=st.data())
    def start(self, data: st.DataObject) -> None:
        able = [w for w in self.bench.runtime.living if not w.serving and not w.killed]
        if able:
            data.draw(st.sampled_from(able)).ready()

    @rule(data=st.data())
    def die_between_frames(self, data: st.DataObject) -> None:
        if living := self.bench.runtime.living:
            data.draw(st.sampled_from(living)).die()

    @rule(data=st.data())
    def die_before_an_answer_is_heard(self, data: st.DataObject) -> None:
        if able := self.able():
            worker = data.draw(st.sampled_from(able))
            if worker.inbox[0].context in worker.counts:
                worker.counts[worker.inbox[0].context] += 1
            worker.die()

    @rule()
    def bury(self) -> None:
        for worker in self.bench.runtime.living:
            if worker.killed:
                worker.die()

    @rule(seconds=st.sampled_from([0.001, 0.3, 1.5, 10.0, 30.0]))
    def wait(self, seconds: float) -> None:
        self.bench.advance(seconds)

    @rule(name=st.sampled_from(["a", "b"]), cause=CAUSES)
    def end(self, name: str, cause: Cause) -> None:
        if self.bench.host.table.get("", name) is not None:
            self.bench.end(name, cause)

    @invariant()
    def what_is_held_is_what_was_acknowledged(self) -> None:
        for context in self.bench.host.table:
            for binding in context.bindings:
                held = binding.kept
                assert held is not None or binding.state is not State.STORED
                if held is not None and not context.fresh:
                    assert held.slots == {"count": b"%d" % self.counts.get(key(binding), 0)}

    @invariant()
    def bytes_are_counted(self) -> None:
        sizes = dict.fromkeys(self.bench.host.plugins, 0)
        for context in self.bench.host.table:
            for binding in context.bindings:
                sizes[binding.plugin.name] += 0 if binding.kept is None else binding.kept.size
        assert sizes == {p.name: p.durable_bytes for p in self.bench.host.plugins.values()}

    @invariant()
    def a_binding_is_with_its_lane_or_waits(self) -> None:
        for context in self.bench.host.table:
            for binding in context.bindings:
                if binding.state is not State.STORED:
                    assert binding.lane.bindings[binding.generation] is binding

    def teardown(self) -> None:
        if not hasattr(self, "bench"):
            return
        for _ in itertools.repeat(None, 50):
            self.do_all()
            self.bench.advance(2)
            self.what_is_held_is_what_was_acknowledged()
        assert all(call.answer.count == 1 for call in self.bench.calls)


def key(binding: Binding) -> Key:
    return binding.context.name, binding.plugin.name


def serves(binding: Binding | None, worker: FakeWorker, frame: Frame) -> bool:
    return (
        binding is not None
        and binding.generation == frame.context
        and binding.plugin.artefact is worker.plugin
    )


TestDurability = Durability.TestCase
TestDurability.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
