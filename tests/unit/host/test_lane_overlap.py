"""A lane whose worker is at several calls at once."""

from __future__ import annotations

from tests.unit.host.fake_runtime import Bench, FakeCall, FakeWorker, config, plugin


def bench(**limits: int) -> tuple[Bench, FakeWorker]:
    on = Bench(config(plugin("overlapping", own=False, concurrency=2, **limits)))
    on.run()
    for context in ("a", "b"):
        on.call(b"1", context, "overlapping")
    on.run()
    (worker,) = on.runtime.living
    return on, worker


def calls(on: Bench, *contexts: str) -> list[FakeCall]:
    return [on.call(name.encode(), name[0], "overlapping") for name in contexts]


def inbox(worker: FakeWorker) -> list[str]:
    return [frame.body.decode() for frame in worker.inbox]


def test_a_context_has_as_many_calls_in_the_worker_as_it_may() -> None:
    on, worker = bench()
    calls(on, "a1", "a2", "a3", "b1", "a4")
    assert inbox(worker) == ["a1", "a2", "b1"]
    worker.step(1)
    assert inbox(worker) == ["a1", "b1", "a3"]


def test_calls_end_in_any_order_and_each_has_its_own_time() -> None:
    on, worker = bench()
    first, second = calls(on, "a1", "a2")
    on.advance(0.2)
    worker.step(1)
    on.advance(0.3)
    worker.step()
    assert (first.answer.result, second.answer.result) == (b"a1", b"a2")
    assert [round(call.seconds[2], 3) for call in (first, second)] == [0.5, 0.2]


def test_the_first_call_of_a_context_is_alone_until_it_is_bound() -> None:
    on, worker = bench()
    calls(on, "c1", "c2", "a1")
    assert inbox(worker) == ["c1", "a1"]
    worker.step()
    assert inbox(worker) == ["a1", "c2"]


def test_an_errand_waits_for_the_calls_of_its_context_alone() -> None:
    on, worker = bench()
    calls(on, "a1", "b1")
    on.end("a")
    assert [frame.cause for frame in worker.inbox] == ["", ""]
    worker.step()
    assert [frame.cause for frame in worker.inbox] == ["", "Released"]


def test_a_worker_that_dies_may_have_run_all_it_was_sent_and_nothing_else() -> None:
    on, worker = bench()
    *ran, waited = calls(on, "a1", "a2", "b1", "a3")
    worker.die()
    for call in ran:
        assert call.answer.problem is not None
        assert (call.answer.problem.kind.slug, call.answer.problem.kind.executed) == (
            "worker-died",
            "maybe",
        )
    assert waited.answer.count == 0
    on.advance(1)
    on.run()
    assert waited.answer.result == b"a3"


def test_a_call_that_does_not_end_costs_its_worker_and_is_told_that_it_was_it() -> None:
    on, worker = bench(call_timeout_milliseconds=100)
    (stuck,) = calls(on, "a1")
    on.advance(0.2)
    (other,) = calls(on, "b1")
    on.advance(0.42)  # 100 ms, twice 100 ms for others, 250 ms of grace, and a second look
    assert worker.killed
    worker.die()
    kinds = [call.answer.problem.kind.slug for call in (stuck, other) if call.answer.problem]
    assert kinds == ["timeout", "worker-died"]


def test_an_answer_to_no_call_is_a_lie() -> None:
    on, worker = bench()
    calls(on, "a1")
    worker.inbox[0].call += 7
    worker.step()
    assert worker.killed
