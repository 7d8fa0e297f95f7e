"""Durable slots in the host: kept before the answer, restored into the next worker, fenced."""

from __future__ import annotations

import pytest

from pluginsandbox.host.contexts import Binding, Cause, Context, State
from pluginsandbox.host.durable import Record, RefusedError
from tests.unit.host.fake_runtime import Bench, FakeCall, FakeWorker, config, plugin
from tests.unit.host.test_contexts import value


def bench(**limits: int) -> Bench:
    first = plugin("durable", own=False, **limits)
    made = Bench(config(first, plugin("durable-own", own=True)))
    made.run()
    return made


def count(on: Bench, context: str = "a", to: str = "durable", body: bytes = b"count") -> FakeCall:
    call = on.call(body, context, to)
    on.run()
    return call


def only(on: Bench, context: str = "a") -> Binding:
    found = on.host.table.get("", context)
    assert found is not None
    return found.bindings[0]


def die(on: Bench) -> None:
    for worker in on.runtime.living:
        worker.die()
    on.advance(1)
    on.run()


@pytest.mark.parametrize("to", ["durable", "durable-own"])
def test_a_context_outlives_its_worker(to: str) -> None:
    on = bench()
    first = count(on, to=to)
    assert first.bound == "new"
    die(on)
    assert on.reclaims(to) == {}
    second, third = count(on, to=to), count(on, to=to)
    assert [call.answer.result for call in (first, second, third)] == [b"1", b"2", b"3"]
    assert (second.bound, third.new) == ("restored", False)
    assert first.binding is second.binding
    assert value(on, "restores_total", plugin=to, outcome="restored") == 1
    assert value(on, "restore_duration_seconds_count", plugin=to) == 1


def test_a_restored_binding_is_a_new_generation() -> None:
    on = bench()
    before = count(on).binding.generation
    die(on)
    count(on)
    assert only(on).generation > before


def test_the_call_in_which_the_worker_died_has_left_nothing() -> None:
    on = bench()
    count(on)
    lost = on.call(b"count", "a", "durable")
    die(on)
    assert lost.answer.problem is not None
    assert (lost.answer.problem.kind.slug, lost.answer.problem.kind.executed) == (
        "worker-died",
        "maybe",
    )
    assert "durable slots are as before" in lost.answer.problem.detail
    assert count(on).answer.result == b"2"


def test_calls_behind_the_one_that_died_run_on_the_restored_state() -> None:
    on = bench()
    count(on)
    head, *behind = [on.call(b"count", "a", "durable") for _ in range(4)]
    die(on)
    assert head.answer.problem is not None
    assert [call.answer.result for call in behind] == [b"2", b"3", b"4"]


def test_before_its_first_answer_a_binding_is_lost_as_ever() -> None:
    on = bench()
    on.call(b"count", "a", "durable")
    die(on)
    assert on.reclaims("durable") == {"Crashed": 1}
    assert count(on).answer.result == b"1"


def test_existing_finds_durable_state_but_not_the_generation_that_lost_its_worker() -> None:
    on = bench()
    generation = count(on).binding.generation
    die(on)
    wanted = on.call(b"count", "a", "durable", existing=generation)
    on.run()
    assert wanted.answer.problem is not None
    assert wanted.answer.problem.more == {"cause": "Crashed", "generation": generation}
    found = on.call(b"count", "a", "durable", existing=0)
    on.run()
    assert (found.answer.result, found.bound) == (b"2", "restored")
    again = on.call(b"count", "a", "durable", existing=generation)
    on.run()
    assert again.answer.problem is not None
    assert again.answer.problem.more == {"generation": found.binding.generation}


@pytest.mark.parametrize("to", ["durable", "durable-own"])
def test_a_refused_state_is_evicted_and_the_caller_told(to: str) -> None:
    on = bench()
    count(on, to=to)
    die(on)
    refused = count(on, to=to, body=b"refuse")
    assert refused.answer.problem is not None
    assert (refused.answer.problem.kind.status, refused.answer.problem.kind.executed) == (410, "no")
    assert refused.answer.problem.more == {"cause": "Evicted", "exception": "ValueError"}
    assert on.reclaims(to) == {"Evicted": 1}
    assert value(on, "restores_total", plugin=to, outcome="refused") == 1
    assert on.plugin(to).durable_bytes == 0
    gone = on.call(b"count", "a", to, existing=0)
    assert gone.answer.problem is not None
    assert gone.answer.problem.more["cause"] == "Evicted"
    assert count(on, to=to).answer.result == b"1"


def test_a_start_that_fails_keeps_the_state_for_the_next_call() -> None:
    on = bench()
    count(on)
    die(on)
    behind = [on.call(body, "a", "durable") for body in (b"start", b"count", b"count")]
    on.run()
    assert behind[0].answer.problem is not None
    assert behind[0].answer.problem.kind.slug == "start"
    assert [call.answer.result for call in behind[1:]] == [b"2", b"3"]


def test_calls_that_wait_for_a_worker_follow_their_binding_to_another() -> None:
    on = bench(workers=2)
    count(on)
    die(on)
    for context in ("c", "d"):
        count(on, context)  # one on each worker
    fails = on.call(b"start", "a", "durable")
    lane = fails.binding.lane
    other = next(found for found in ("c", "d") if only(on, found).lane is not lane)
    on.call(b"count", "e", "durable")
    blocks = [on.call(b"count", "f", "durable") for _ in range(2)]
    waits = on.call(b"count", "a", "durable")
    assert {call.binding.lane for call in (*blocks, waits)} == {lane}
    here, aside = only(on, "f").lane.worker, only(on, other).lane.worker
    assert isinstance(here, FakeWorker)
    assert isinstance(aside, FakeWorker)
    on.end(other)
    on.end("e")
    aside.run()
    here.step()
    assert fails.binding.state is State.STORED
    late = on.call(b"count", "a", "durable")
    assert late.binding.lane is not lane
    on.run()
    assert sorted([waits.answer.result or b"", late.answer.result or b""]) == [b"2", b"3"]


@pytest.mark.parametrize("body", [b"start", b"refuse"])
def test_a_worker_of_ones_own_ends_when_its_context_does_not_begin(body: bytes) -> None:
    on = bench()
    for context in ("a", "b", "c"):
        count(on, context, "durable-own")
        on.runtime.run()
        only(on, context).lane.kill("Timeout")
        on.run()
        failed = count(on, context, "durable-own", body)
        assert failed.answer.problem is not None
    on.advance(1)
    on.run()
    assert len(on.runtime.living) == 1 + on.host.config.warm_workers


@pytest.mark.parametrize("cause", ["Released", "Deadline", "Idle", "Finalized", "Evicted"])
@pytest.mark.parametrize("alive", [True, False])
def test_state_ends_with_its_context(cause: Cause, *, alive: bool) -> None:
    on = bench()
    count(on)
    held = on.plugin("durable").durable_bytes
    assert held == value(on, "durable_bytes", plugin="durable") == len("count") + 1
    if not alive:
        die(on)
    on.end("a", cause)
    on.run()
    assert on.reclaims("durable") == {cause: 1}
    assert on.plugin("durable").durable_bytes == 0
    assert on.host.table.get("", "a") is None
    if not alive:
        labels = {"plugin": "durable", "cause": cause, "kind": "measured"}
        assert value(on, "reclaimed_bytes_total", **labels) == held
    assert count(on).answer.result == b"1"


def test_idle_contexts_without_a_worker_end_too() -> None:
    on = bench()
    count(on)
    die(on)
    on.advance(400)
    assert on.reclaims("durable") == {"Idle": 1}


def test_on_the_way_out_a_lost_worker_takes_its_contexts_along() -> None:
    on = bench()
    count(on)
    on.host.outcomes.closing = True
    die(on)
    assert on.reclaims("durable") == {"Shutdown": 1}


def test_a_context_for_one_call_is_not_restored() -> None:
    on = bench()
    on.call(b"count", None, "durable")
    on.runtime.workers[0].step()
    die(on)
    assert on.plugin("durable").durable_bytes == 0
    assert on.plugin("durable").bindings == 0


@pytest.mark.parametrize("body", [b"lie", b"fat"])
def test_a_worker_that_lies_is_ended_and_nothing_of_it_is_kept(body: bytes) -> None:
    on = bench()
    count(on)
    liar = count(on, body=body)
    assert liar.answer.problem is not None
    assert liar.answer.problem.kind.slug == "worker-died"
    assert value(on, "worker_exits_total", plugin="durable", cause="Protocol") == 1
    on.advance(1)
    assert count(on).answer.result == b"2"


def test_all_contexts_together_have_a_bound() -> None:
    on = bench(durable_bytes=6, max_contexts=1000)  # room for 64 of six bytes
    for number in range(64):
        assert count(on, f"c{number}").answer.result == b"1"
    full = count(on, "one-more")
    assert full.answer.problem is not None
    assert (full.answer.problem.kind.slug, full.answer.problem.kind.status) == ("durable", 500)
    assert "durableBytes" in full.answer.problem.detail
    assert on.plugin("durable").durable_bytes == 64 * 6
    on.advance(1)
    assert count(on, "c7").answer.result == b"2"


# --- from host to host ---------------------------------------------------------------------------


def exported(on: Bench, context: str = "a") -> Record:
    (record,) = on.host.durable.export("", context)
    return record


def opened(on: Bench, name: str = "a") -> Context:
    found = on.host.table.get("", name)
    return found or on.host.invoker.open_context("", name, on.clock.now)


def taken(on: Bench, record: Record) -> None:
    on.host.durable.accept(record, opened(on, record.context), on.clock.now)


def test_another_host_goes_on_where_the_first_one_ended() -> None:
    one, two = bench(), bench()
    count(one)
    count(one)
    record = exported(one)
    assert (record.plugin, record.n, record.slots) == ("durable", 2, {"count": b"2"})
    taken(two, record)
    assert only(two).state is State.STORED
    call = count(two)
    assert (call.answer.result, call.bound) == (b"3", "restored")
    assert call.binding.generation > record.epoch
    assert two.plugin("durable").durable_bytes == 6


def test_what_is_stale_repeated_or_bound_here_is_refused() -> None:
    one, two = bench(), bench()
    count(one)
    old = exported(one)
    count(one)
    new = exported(one)
    taken(two, new)
    for record in (old, new):
        with pytest.raises(RefusedError) as refused:
            taken(two, record)
        assert refused.value.reason == "Stale"
    assert count(two).answer.result == b"3"
    with pytest.raises(RefusedError) as refused:
        taken(two, new)
    assert refused.value.reason == "Bound"
    two.end("a")
    two.run()
    with pytest.raises(RefusedError) as refused:
        taken(two, new)
    assert refused.value.reason == "Stale"
    assert two.plugin("durable").bindings == 0


def test_a_state_of_a_host_whose_generations_are_lower_is_not_stale() -> None:
    one, two = bench(), bench()
    for _ in range(3):  # bound and ended here before, under higher generations
        for context in ("a", "b", "c"):
            count(two, context)
            two.end(context)
            two.run()
    count(one)
    taken(two, exported(one))
    assert count(two).answer.result == b"2"


def test_what_has_no_place_is_refused() -> None:
    one, two = bench(), Bench(config(plugin("durable", max_contexts=1, durable_bytes=6)))
    for context in ("a", "b"):
        count(one, context)
    taken(two, exported(one))
    with pytest.raises(RefusedError) as refused:
        taken(two, exported(one, "b"))
    assert refused.value.reason == "Full"
    for _ in range(9):
        count(one)
    with pytest.raises(RefusedError) as refused:
        taken(two, exported(one))  # seven bytes: "count" and "10"
    assert refused.value.reason == "Full"
    with pytest.raises(RefusedError) as refused:
        taken(Bench(config()), exported(one))
    assert refused.value.reason == "Unknown"
