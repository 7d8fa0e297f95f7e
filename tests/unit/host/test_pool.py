"""Workers of a plugin: warm ones, replacements, back-off, and what a new one is told."""

from __future__ import annotations

import pytest

from pluginsandbox.host.pool import BACK_OFF_LIMIT_SECONDS
from tests.unit.host.fake_runtime import Bench, config, plugin


def own(**fields: int) -> Bench:
    return Bench(config(plugin(own=True, max_contexts=4), **fields))


def test_warm_workers_are_started_ahead_and_replaced_when_taken() -> None:
    bench = own(warm_workers=2)
    bench.run()
    assert len(bench.runtime.workers) == 2
    bench.call()
    assert len(bench.runtime.workers) == 2
    bench.advance(0.05)
    assert len(bench.runtime.workers) == 3


def test_warm_workers_are_started_one_after_the_other() -> None:
    bench = own(warm_workers=3)
    for count in (1, 2, 3):
        assert len(bench.runtime.workers) == count
        bench.runtime.living[-1].ready()
    bench.advance(1)
    assert len(bench.runtime.workers) == 3


def test_no_warm_worker_is_started_while_a_context_waits_for_its_own() -> None:
    bench = own(warm_workers=1)
    bench.run()
    bench.call(context="a")
    bench.call(context="b")
    bench.advance(1)
    assert len(bench.runtime.workers) == 2
    bench.runtime.living[-1].ready()
    bench.advance(1)
    assert len(bench.runtime.workers) == 3


def test_a_context_gets_the_warm_worker_that_is_under_way() -> None:
    bench = own(warm_workers=1)
    call = bench.call()
    assert len(bench.runtime.workers) == 1
    bench.run()
    assert call.answer.result == b"1"


def test_a_warm_worker_that_dies_while_it_starts_makes_way_for_the_next() -> None:
    bench = own(warm_workers=2)
    bench.runtime.living[0].die()
    bench.advance(1)
    bench.run()
    assert len(bench.runtime.living) == 2


def test_each_context_has_a_worker_of_its_own_that_ends_with_it() -> None:
    bench = own(warm_workers=1)
    bench.run()
    first = bench.call(context="a")
    second = bench.call(context="b")
    bench.run()
    assert first.binding.lane is not second.binding.lane
    worker = first.binding.lane.worker
    bench.end("a")
    bench.run()
    assert worker not in bench.runtime.living
    assert second.binding.lane.worker in bench.runtime.living


def test_without_warm_workers_one_is_started_on_demand() -> None:
    bench = own(warm_workers=0)
    assert bench.host.plugins["echo"].state == "Loaded"
    assert bench.runtime.workers == []
    call = bench.call()
    bench.run()
    assert call.answer.result == b"1"
    bench.advance(1)
    assert len(bench.runtime.living) == 1


def test_the_wait_for_a_worker_of_its_own_counts_as_bind() -> None:
    bench = own(warm_workers=0)
    call = bench.call()
    bench.clock.now += 0.003
    bench.runtime.living[0].ready()
    bench.run()
    waited, bound, _ = call.seconds
    assert waited == 0.0
    assert bound == pytest.approx(0.003, abs=1e-4)


def test_a_crash_in_one_context_leaves_the_others() -> None:
    bench = own(warm_workers=1)
    bench.run()
    lost, kept = bench.call(context="a"), bench.call(context="b")
    bench.run()
    worker = lost.binding.lane.worker
    next(each for each in bench.runtime.living if each is worker).die()
    again = bench.call(context="b")
    bench.run()
    assert not again.new
    assert again.binding is kept.binding
    assert bench.reclaims() == {"Crashed": 1}


def test_the_next_worker_of_a_context_is_told_how_the_last_one_died() -> None:
    bench = own(warm_workers=1)
    bench.run()
    bench.call(context="a")
    bench.run()
    bench.advance(1)
    bench.runtime.workers[0].die(detail="signal SIGBUS")
    bench.call(context="a")
    bench.call(context="b")
    told = {worker.panicked for worker in bench.runtime.living if worker.panicked}
    assert told == {"signal SIGBUS"}
    bench.run()
    assert len({call.binding.lane for call in bench.calls[1:]}) == 2


def test_a_shared_worker_is_replaced_at_once_the_first_time() -> None:
    bench = Bench(config())
    bench.run()
    bench.runtime.workers[0].die()
    assert len(bench.runtime.living) == 1


def test_workers_that_keep_dying_are_started_ever_more_slowly() -> None:
    bench = Bench(config())
    pauses = []
    for _ in range(12):
        bench.runtime.living[0].die("Exit", "exit status 1")
        start = bench.clock.now
        while not bench.runtime.living:
            due = bench.host.wheel.next_due()
            assert due is not None
            bench.advance(max(0.0, due - bench.clock.now))
        pauses.append(bench.clock.now - start)
    assert pauses[0] == 0
    assert pauses == sorted(pauses)
    assert pauses[-1] == pytest.approx(BACK_OFF_LIMIT_SECONDS, abs=0.1)


def test_a_worker_that_served_a_while_is_replaced_at_once() -> None:
    bench = Bench(config())
    for _ in range(4):
        bench.run()
        bench.advance(10)
        bench.runtime.living[0].die()
    assert len(bench.runtime.living) == 1


def test_warm_workers_that_cannot_start_do_not_spin() -> None:
    bench = own(warm_workers=2)
    for _ in range(60):
        for worker in bench.runtime.living:
            worker.die("Exit", "exit status 1")
        bench.advance(0.5)
    assert len(bench.runtime.workers) < 40
    bench.run()
    bench.advance(BACK_OFF_LIMIT_SECONDS)
    bench.run()
    call = bench.call()
    bench.run()
    assert call.answer.result == b"1"


def test_a_worker_that_never_gets_ready_is_ended() -> None:
    bench = Bench(config(queue_timeout_milliseconds=120_000))
    call = bench.call()
    bench.advance(31)
    assert bench.runtime.workers[0].killed
    bench.runtime.workers[0].die()
    bench.advance(1)
    bench.run()
    assert call.answer.result == b"1"


def test_contexts_are_shared_out_evenly() -> None:
    bench = Bench(config(plugin(workers=3)))
    bench.run()
    for number in range(9):
        bench.call(context=str(number))
    lanes = [call.binding.lane for call in bench.calls]
    assert sorted(lanes.count(lane) for lane in set(lanes)) == [3, 3, 3]


def test_closing_ends_all_and_starts_none() -> None:
    bench = own(warm_workers=2)
    bench.run()
    bench.call()
    pool = bench.plugin().pool
    assert pool is not None
    bench.host.invoker.draining = bench.host.outcomes.closing = True
    pool.close()
    for worker in bench.runtime.living:
        assert worker.killed
        worker.die()
    bench.advance(60)
    assert pool.empty
    assert bench.runtime.living == []
    assert bench.calls[0].answer.problem is not None
    assert bench.plugin().bindings == 0


def test_warm_workers_that_keep_dying_are_started_ever_more_slowly() -> None:
    """They did start, so the plugin works; but nobody called them, so nobody waits for them."""
    bench = own(warm_workers=1)
    for _ in range(8):
        bench.run()
        bench.runtime.living[0].die()
        bench.advance(BACK_OFF_LIMIT_SECONDS)
    started = len(bench.runtime.workers)
    for _ in range(20):
        bench.run()
        for worker in bench.runtime.living:
            worker.die()
        bench.advance(0.05)
    assert len(bench.runtime.workers) <= started + 1


def test_a_worker_that_served_and_died_delays_no_other_contexts() -> None:
    bench = own(warm_workers=1)
    for _ in range(8):
        bench.run()
        call = bench.call(context="a")
        bench.run()
        call.binding.lane.worker.die()  # type: ignore[union-attr]
        bench.advance(0.05)
    bench.run()
    call = bench.call(context="b")
    bench.run()
    assert call.answer.result == b"1"
