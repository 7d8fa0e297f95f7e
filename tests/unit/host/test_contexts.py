"""How contexts and bindings come to their end: cause, order, count, bytes."""

from __future__ import annotations

from typing import get_args

import pytest

from pluginsandbox.host.contexts import Cause, ContextTable
from pluginsandbox.host.ends import Ends
from pluginsandbox.telemetry import exposition
from tests.unit.host.fake_runtime import Bench, config, plugin


def value(bench: Bench, name: str, **labels: str) -> float:
    found = exposition.registry(bench.host.metrics).get_sample_value(
        f"pluginsandbox_{name}", {"namespace": "default", "sandbox": "shop", **labels}
    )
    return found or 0.0


def test_idle_contexts_end_and_busy_ones_do_not() -> None:
    bench = Bench(config(idle_timeout_seconds=5))
    bench.run()
    bench.call(context="idle")
    bench.call(context="used")
    bench.run()
    bench.advance(4)
    bench.call(context="used")
    bench.run()
    bench.advance(2)
    bench.run()
    assert bench.host.table.get("", "idle") is None
    assert bench.host.table.get("", "used") is not None
    assert bench.reclaims() == {"Idle": 1}


def test_a_context_with_a_call_in_it_is_not_idle() -> None:
    bench = Bench(config(plugin(call_timeout_milliseconds=60_000), idle_timeout_seconds=5))
    bench.run()
    bench.call()
    bench.advance(20)
    assert bench.host.table.get("", "a") is not None
    bench.run()
    assert bench.reclaims() == {}
    bench.advance(6)
    bench.run()
    assert bench.reclaims() == {"Idle": 1}


def test_the_deadline_ends_a_context_however_busy() -> None:
    bench = Bench(config(deadline_seconds=10))
    bench.run()
    for _ in range(12):
        bench.call()
        bench.run()
        bench.advance(1)
    bench.run()
    assert bench.reclaims()["Deadline"] == 1


def test_bindings_of_a_context_go_newest_first_each_when_the_last_is_gone() -> None:
    bench = Bench(config(plugin("one"), plugin("two"), plugin("three")))
    bench.run()
    for name in ("two", "one", "three"):
        bench.call(plugin=name)
        bench.run()
    bench.end("a")
    order = []
    for _ in range(3):
        (busy,) = [worker for worker in bench.runtime.living if worker.inbox]
        order.append(busy.plugin.config.name)
        busy.step()
    assert order == ["three", "one", "two"]
    assert len(bench.host.table) == 0


def test_on_exit_that_does_not_end_takes_its_worker_along() -> None:
    bench = Bench(config())
    bench.run()
    bench.call(context="ends")
    bench.call(context="neighbour")
    bench.run()
    bench.end("ends")
    bench.advance(1.5)
    (worker,) = bench.runtime.living
    assert worker.killed
    worker.die()
    assert bench.reclaims() == {"Released": 1, "Crashed": 1}
    assert bench.host.table.get("", "ends") is None


def test_a_crash_takes_all_bindings_of_that_worker_and_no_other() -> None:
    bench = Bench(config(plugin("one"), plugin("two")))
    bench.run()
    for name in ("a", "b"):
        bench.call(plugin="one", context=name)
        bench.call(plugin="two", context=name)
    bench.run()
    bench.runtime.workers[0].die()
    assert bench.reclaims("one") == {"Crashed": 2}
    assert bench.reclaims("two") == {}
    survivor = bench.host.table.get("", "a")
    assert survivor is not None
    assert [binding.plugin.name for binding in survivor.bindings] == ["two"]


def test_a_context_that_loses_its_only_binding_is_gone_unless_it_was_made_by_name() -> None:
    bench = Bench(config())
    bench.run()
    bench.call(context="a")
    bench.call(context="kept")
    bench.run()
    kept = bench.host.table.get("", "kept")
    assert kept is not None
    kept.kept = True
    bench.runtime.workers[0].die()
    assert bench.host.table.get("", "a") is None
    assert bench.host.table.get("", "kept") is kept


def test_bytes_are_reported_by_shared_workers_and_never_beyond_their_limit() -> None:
    bench = Bench(config(plugin(memory_bytes=600)))
    bench.run()
    bench.call()
    bench.run()
    bench.end("a")
    bench.run()  # the worker reports 1000
    assert (
        value(bench, "reclaimed_bytes_total", plugin="echo", cause="Released", kind="reported")
        == 600
    )


def test_bytes_are_measured_where_the_worker_goes_with_its_context() -> None:
    bench = Bench(config(plugin(own=True)))
    bench.run()
    bench.call()
    bench.run()
    bench.end("a")
    bench.run()
    labels = {"plugin": "echo", "cause": "Released"}
    assert value(bench, "reclaimed_bytes_total", **labels, kind="measured") == 5 << 20
    assert value(bench, "reclaimed_bytes_total", **labels, kind="reported") == 0
    assert value(bench, "reclaims_total", **labels) == 1


@pytest.mark.parametrize(("killed", "measured"), [(False, 7 << 20), (True, 5 << 20)])
def test_a_worker_that_dies_with_many_bindings_is_measured_once(
    *, killed: bool, measured: int
) -> None:
    bench = Bench(config())
    bench.run()
    for name in ("a", "b", "c"):
        bench.call(context=name)
    bench.run()
    if killed:
        (lane,) = bench.plugin().pool.lanes  # type: ignore[union-attr]  # it is loaded
        lane.kill("Timeout")
    bench.runtime.workers[0].die()
    labels = {"plugin": "echo", "cause": "Crashed"}
    assert value(bench, "reclaims_total", **labels) == 3
    assert value(bench, "reclaimed_bytes_total", **labels, kind="measured") == measured


CAUSES: tuple[Cause, ...] = get_args(Cause)


@pytest.mark.parametrize("cause", CAUSES)
def test_every_cause_is_counted_timed_and_measured(cause: Cause) -> None:
    bench = Bench(config(plugin(), plugin("own", own=True)))
    bench.run()
    bench.call()
    bench.call(plugin="own")
    bench.run()
    bench.end("a", cause)
    bench.run()
    for name, kind in (("echo", "reported"), ("own", "measured")):
        labels = {"plugin": name, "cause": cause}
        assert value(bench, "reclaims_total", **labels) == 1
        assert value(bench, "reclaim_duration_seconds_count", **labels) == 1
        assert value(bench, "reclaimed_bytes_total", **labels, kind=kind) > 0


def test_the_end_is_told_when_all_is_gone_and_once() -> None:
    bench = Bench(config())
    bench.run()
    bench.call()
    bench.run()
    told: list[str] = []
    context = bench.host.table.get("", "a")
    assert context is not None
    bench.host.reclaimer.end(context, "Released", lambda: told.append("first"))
    bench.host.reclaimer.end(context, "Idle", lambda: told.append("second"))
    assert told == []
    bench.run()
    assert told == ["first", "second"]
    assert bench.reclaims() == {"Released": 1}


def test_tombstones_are_bounded() -> None:
    bench = Bench(config())
    bench.host.table._ends = Ends(4)
    bench.run()
    for number in range(5):
        bench.call(context=str(number))
        bench.run()
        bench.end(str(number))
        bench.run()
    known = [bench.host.table.tombstone("", str(number), "echo") for number in range(5)]
    assert [end is not None for end in known] == [False, False, True, True, True]


def test_generations_only_grow() -> None:
    bench = Bench(config())
    bench.run()
    seen = []
    for _ in range(3):
        call = bench.call()
        bench.run()
        seen.append(call.binding.generation)
        bench.end("a")
        bench.run()
    assert seen == sorted(set(seen))
    assert seen[0] > 100


def test_fresh_contexts_cannot_be_named() -> None:
    table = ContextTable(0)
    context = table.add_fresh("", 0.0)
    assert table.get("", context.name) is None
    assert list(table) == [context]
    table.remove(context)
    assert list(table) == []
