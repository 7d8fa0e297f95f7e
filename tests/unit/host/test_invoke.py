"""What becomes of a call: placed, queued, refused, retried, answered once."""

from __future__ import annotations

from http import HTTPStatus

import pytest

from pluginsandbox.api.host_config import PAYLOAD_CALLS
from pluginsandbox.host.contexts import State
from pluginsandbox.host.lane import WINDOW_FRAMES
from tests.unit.host.fake_runtime import Bench, FakeCall, config, plugin


def status(call: FakeCall) -> int:
    assert call.answer.count == 1
    if call.answer.problem is None:
        return HTTPStatus.OK
    return call.answer.problem.kind.status


def executed(call: FakeCall) -> str:
    assert call.answer.problem is not None
    return call.answer.problem.kind.executed


def test_first_call_binds_and_the_next_finds_the_binding() -> None:
    bench = Bench(config())
    bench.run()
    first, second = bench.call(), bench.call()
    bench.run()
    assert (first.answer.result, second.answer.result) == (b"1", b"1")
    assert (first.new, second.new) == (True, False)
    assert first.binding is second.binding
    assert bench.plugin().bindings == 1


def test_calls_before_the_worker_is_ready_wait_for_it() -> None:
    bench = Bench(config())
    call = bench.call()
    assert call.queued
    bench.run()
    assert status(call) == HTTPStatus.OK


def test_a_call_without_context_leaves_nothing_behind() -> None:
    bench = Bench(config())
    call = bench.call(context=None)
    bench.run()
    assert status(call) == HTTPStatus.OK
    assert len(bench.host.table) == 0
    assert bench.reclaims() == {"Released": 1}


def test_calls_that_would_follow_an_unfinished_bind_are_held_back() -> None:
    bench = Bench(config())
    bench.run()
    bench.call(b"start")
    second = bench.call()
    (worker,) = bench.runtime.living
    assert len(worker.inbox) == 1
    bench.run()
    assert status(second) == HTTPStatus.OK
    assert second.new


def test_only_a_window_of_frames_is_sent() -> None:
    bench = Bench(config())
    bench.run()
    bench.call()
    bench.run()
    for _ in range(WINDOW_FRAMES + 5):
        bench.call()
    (worker,) = bench.runtime.living
    assert len(worker.inbox) == WINDOW_FRAMES
    assert bench.plugin().queued == 5
    assert bench.host.load.queued.count == 5
    bench.run()
    assert bench.plugin().queued == 0


def test_large_bodies_do_not_pile_up_in_the_socket() -> None:
    bench = Bench(config())
    bench.run()
    bench.call()
    bench.run()
    for _ in range(3):
        bench.call(b"x" * 40000)
    (worker,) = bench.runtime.living
    assert len(worker.inbox) == 1


def test_a_full_queue_refuses_and_tells_when_to_come_back() -> None:
    bench = Bench(config(max_queued_calls=2))
    calls = [bench.call() for _ in range(3)]
    assert status(calls[2]) == HTTPStatus.TOO_MANY_REQUESTS
    assert calls[2].answer.problem is not None
    assert "Retry-After" in calls[2].answer.problem.headers()
    assert executed(calls[2]) == "no"
    assert bench.host.load.refused == 1
    bench.run()
    assert [status(call) for call in calls[:2]] == [200, 200]


def test_the_arguments_of_calls_that_wait_are_bounded_in_bytes_too() -> None:
    bench = Bench(config(plugin(request_bytes=1000, result_bytes=1000)))
    room = PAYLOAD_CALLS * 2
    calls = [bench.call(b"x" * 1000) for _ in range(room + 1)]
    assert status(calls[-1]) == HTTPStatus.TOO_MANY_REQUESTS
    assert calls[-1].answer.problem is not None
    assert "KiB of arguments wait already" in calls[-1].answer.problem.detail
    bench.run()
    assert [status(call) for call in calls[:-1]] == [200] * room
    assert bench.host.load.queued.bytes == 0
    again = bench.call(b"x" * 1000)
    bench.run()
    assert status(again) == HTTPStatus.OK


def test_one_context_too_many_is_refused() -> None:
    bench = Bench(config(plugin(max_contexts=1)))
    bench.run()
    bench.call(context="a")
    refused = bench.call(context="b")
    assert status(refused) == HTTPStatus.TOO_MANY_REQUESTS
    bench.run()
    bench.end("a")
    bench.run()
    again = bench.call(context="b")
    bench.run()
    assert status(again) == HTTPStatus.OK


def test_a_call_that_waits_longer_than_the_queue_allows_did_not_run() -> None:
    bench = Bench(config(queue_timeout_milliseconds=500))
    call = bench.call()
    bench.advance(0.6)
    assert status(call) == HTTPStatus.SERVICE_UNAVAILABLE
    assert executed(call) == "no"
    bench.run()
    assert bench.plugin().calls == 0


def test_a_callers_deadline_passes_while_the_call_waits() -> None:
    bench = Bench(config())
    call = bench.call(seconds=0.2)
    bench.advance(0.3)
    assert status(call) == HTTPStatus.GATEWAY_TIMEOUT
    assert executed(call) == "no"
    bench.run()
    assert bench.host.load.calls.count == 0


def test_a_callers_deadline_tightens_the_workers_budget_and_never_widens_it() -> None:
    bench = Bench(config(plugin(call_timeout_milliseconds=1000)))
    bench.run()
    bench.call(seconds=0.2)
    (worker,) = bench.runtime.living
    assert 190_000 <= worker.inbox[0].timeout_microseconds <= 200_000
    bench.run()
    bench.call(seconds=30)
    assert worker.inbox[0].timeout_microseconds == 1_000_000


def test_step_one_a_call_that_the_worker_interrupts_leaves_its_binding_alive() -> None:
    bench = Bench(config())
    bench.run()
    slow, next_one = bench.call(b"slow"), bench.call()
    bench.run()
    assert (status(slow), executed(slow)) == (HTTPStatus.GATEWAY_TIMEOUT, "maybe")
    assert status(next_one) == HTTPStatus.OK
    assert next_one.binding is slow.binding


def test_step_two_a_stuck_worker_is_ended_and_takes_its_bindings_with_it() -> None:
    bench = Bench(config(plugin(call_timeout_milliseconds=100)))
    bench.run()
    bench.call(context="neighbour")
    bench.run()
    stuck, behind = bench.call(context="neighbour"), bench.call(context="other")
    (worker,) = bench.runtime.living
    bench.advance(0.3)
    assert worker.alive()
    bench.advance(0.2)
    assert not worker.alive()
    worker.die()
    assert (status(stuck), executed(stuck)) == (HTTPStatus.GATEWAY_TIMEOUT, "maybe")
    assert behind.answer.count == 0
    bench.advance(0.1)
    bench.run()
    assert status(behind) == HTTPStatus.OK
    assert bench.reclaims() == {"Crashed": 1}


def test_the_clock_of_a_call_starts_when_the_one_before_it_ended() -> None:
    bench = Bench(config(plugin(call_timeout_milliseconds=100)))
    bench.run()
    bench.call()
    bench.run()
    (worker,) = bench.runtime.living
    for _ in range(4):
        bench.call()
    for _ in range(4):
        bench.advance(0.3)
        worker.step()
    assert worker.alive()
    assert bench.plugin().calls == 0


def test_an_answer_that_came_while_the_host_stood_still_is_taken() -> None:
    bench = Bench(config(plugin(call_timeout_milliseconds=100)))
    bench.run()
    call = bench.call()
    (worker,) = bench.runtime.living
    bench.clock.now += 60
    bench.host.wheel.expire(bench.clock.now)
    assert worker.alive()
    bench.run()
    assert status(call) == HTTPStatus.OK


def test_a_crash_answers_the_first_call_and_retries_those_behind_it_once() -> None:
    bench = Bench(config())
    bench.run()
    bench.call()
    bench.run()
    first, second = bench.call(), bench.call()
    (worker,) = bench.runtime.living
    worker.die()
    assert (status(first), executed(first)) == (HTTPStatus.BAD_GATEWAY, "maybe")
    assert second.answer.count == 0
    assert bench.plugin().calls == 1
    ahead = bench.call()
    bench.advance(0)
    successor = bench.runtime.living[0]
    assert successor.panicked == "signal SIGSEGV"
    successor.ready()
    successor.step()
    assert status(second) == HTTPStatus.OK
    assert second.new
    bench.run()
    assert status(ahead) == HTTPStatus.OK


def test_a_call_that_twice_waited_behind_a_crash_is_given_up_unexecuted() -> None:
    bench = Bench(config())
    bench.run()
    bench.call(context="a")
    bench.call(context="b")
    bench.run()
    first, victim = bench.call(context="a"), bench.call(context="b")
    bench.runtime.living[0].die()
    assert status(first) == HTTPStatus.BAD_GATEWAY
    # What is placed anew goes to the end of the queue: put another crash before it.
    bench.advance(1)
    bench.runtime.living[0].ready()
    assert victim.retried
    bench.runtime.living[0].inbox.appendleft(bench.runtime.living[0].inbox[0])
    bench.runtime.living[0].inbox.popleft()
    bench.runtime.living[0].die()
    assert (status(victim), executed(victim)) == (HTTPStatus.BAD_GATEWAY, "maybe")


def test_existing_is_answered_with_the_last_cause_rather_than_with_fresh_state() -> None:
    bench = Bench(config())
    bench.run()
    never = bench.call(existing=0)
    assert status(never) == HTTPStatus.GONE
    bench.call()
    bench.run()
    live = bench.call(existing=0)
    bench.run()
    assert status(live) == HTTPStatus.OK
    same = bench.call(existing=live.binding.generation)
    bench.run()
    assert status(same) == HTTPStatus.OK
    bench.end("a", "Idle")
    while_ending = bench.call(existing=0)
    assert status(while_ending) == HTTPStatus.GONE
    bench.run()
    after = bench.call(existing=0)
    assert status(after) == HTTPStatus.GONE
    assert after.answer.problem is not None
    assert after.answer.problem.more["cause"] == "Idle"
    assert after.answer.problem.more["generation"] == live.binding.generation


def test_existing_of_another_generation_is_gone() -> None:
    bench = Bench(config())
    bench.run()
    bench.call()
    bench.run()
    bench.end("a")
    bench.run()
    now = bench.call()
    bench.run()
    old = bench.call(existing=now.binding.generation - 1)
    assert status(old) == HTTPStatus.GONE


def test_existing_behind_a_crash_does_not_get_fresh_state() -> None:
    bench = Bench(config())
    bench.run()
    bench.call()
    bench.run()
    bench.call()
    careful = bench.call(existing=0)
    bench.runtime.living[0].die()
    assert status(careful) == HTTPStatus.GONE
    assert careful.answer.problem is not None
    assert careful.answer.problem.more["cause"] == "Crashed"


def test_a_call_for_a_context_that_ends_waits_and_binds_anew() -> None:
    bench = Bench(config())
    bench.run()
    old = bench.call()
    bench.run()
    bench.end("a")
    new = bench.call()
    assert new.queued
    bench.run()
    assert status(new) == HTTPStatus.OK
    assert new.new
    assert new.binding.generation > old.binding.generation


def test_draining_serves_what_is_bound_and_refuses_what_is_not() -> None:
    bench = Bench(config())
    bench.run()
    bench.call(context="a")
    bench.run()
    bench.host.invoker.draining = True
    bound, unbound = bench.call(context="a"), bench.call(context="b")
    bench.run()
    assert status(bound) == HTTPStatus.OK
    assert (status(unbound), executed(unbound)) == (HTTPStatus.SERVICE_UNAVAILABLE, "no")


def test_a_caller_that_hangs_up_frees_its_place_in_the_queue() -> None:
    bench = Bench(config(max_queued_calls=1))
    call = bench.call()
    bench.host.invoker.abandon(call)
    follower = bench.call()
    bench.run()
    assert call.answer.count == 0
    assert status(follower) == HTTPStatus.OK
    assert bench.host.load.calls.count == 0


def test_a_caller_that_hangs_up_during_its_call_gets_no_answer() -> None:
    bench = Bench(config())
    bench.run()
    call = bench.call()
    bench.host.invoker.abandon(call)
    bench.run()
    assert call.answer.count == 0
    assert call.binding.state is State.LIVE
    assert call.binding.context.active == 0


@pytest.mark.parametrize("what", ["unknown", "repeated", "not the first"])
def test_an_answer_out_of_order_ends_the_worker(what: str) -> None:
    bench = Bench(config())
    bench.run()
    bench.call()
    bench.run()
    calls = [bench.call(), bench.call()]
    (worker,) = bench.runtime.living
    first, second = worker.inbox
    number = {"unknown": 99, "repeated": first.call - 1, "not the first": second.call}[what]
    worker.inbox.clear()
    worker.inbox.append(type(first)(number, first.context))
    worker.step()
    assert not worker.alive()
    worker.die()
    assert status(calls[0]) == HTTPStatus.BAD_GATEWAY


def test_a_result_beyond_the_limit_is_not_passed_on() -> None:
    bench = Bench(config(plugin(result_bytes=10)))
    bench.run()
    call = bench.call(b"x" * 11)
    bench.run()
    assert (status(call), executed(call)) == (HTTPStatus.INTERNAL_SERVER_ERROR, "yes")


@pytest.mark.parametrize(
    ("body", "code", "ran"),
    [(b"raise", 500, "yes"), (b"arguments", 400, "no"), (b"start", 500, "no")],
)
def test_errors_of_a_call_keep_its_neighbours(body: bytes, code: int, ran: str) -> None:
    bench = Bench(config())
    bench.run()
    bench.call(context="b")
    bench.run()
    call = bench.call(body)
    neighbour = bench.call(context="b")
    bench.run()
    assert (status(call), executed(call)) == (code, ran)
    assert status(neighbour) == HTTPStatus.OK
    assert not neighbour.new


def test_an_exception_in_on_start_leaves_no_binding() -> None:
    bench = Bench(config())
    bench.run()
    bench.call(b"start")
    bench.run()
    assert bench.plugin().bindings == 0
    assert len(bench.host.table) == 0
    assert bench.reclaims() == {}


def test_times_are_split_into_waited_bound_and_ran() -> None:
    bench = Bench(config())
    call = bench.call()
    bench.clock.now += 0.2
    worker = bench.runtime.living[0]
    worker.ready()
    bench.clock.now += 0.1
    worker.step()
    waited, bound, ran = call.seconds
    assert waited == pytest.approx(0.2)
    assert bound == pytest.approx(1e-5)
    assert ran == pytest.approx(0.1, abs=1e-4)


def test_a_workers_lie_about_its_bind_time_is_not_believed() -> None:
    bench = Bench(config())
    bench.run()
    call = bench.call()
    bench.run()  # reports 10 us while no time passed at all
    assert call.seconds == (0.0, 0.0, 0.0)
