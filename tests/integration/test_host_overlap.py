"""Calls that overlap in one worker: no more than limits.concurrency, each by its own clock."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.integration.host_bed import Answer, Host, plugin, running

ASYNC = '''
import asyncio
import os
import time
from pluginsandbox.sdk import Plugin, function, slot


class Tables(Plugin):
    """Counts the calls that are in it."""

    now = slot(int, default=0)
    most = slot(int, default=0)
    gate = slot(asyncio.Event, factory=asyncio.Event)

    def on_panic(self, error: BaseException) -> None:
        print(f"panic: {type(error).__name__}")

    @function
    async def meet(self, others: int) -> int:
        """Wait until so many are here."""
        self.now.set(self.now.get() + 1)
        self.most.set(max(self.most.get(), self.now.get()))
        try:
            if self.now.get() >= others:
                self.gate.get().set()
            await self.gate.get().wait()
        finally:
            self.now.set(self.now.get() - 1)
        return self.most.get()

    @function
    async def wait(self, seconds: float) -> int:
        self.now.set(self.now.get() + 1)
        self.most.set(max(self.most.get(), self.now.get()))
        await asyncio.sleep(seconds)
        self.now.set(self.now.get() - 1)
        return self.most.get()

    @function
    async def trace(self, seconds: float) -> str:
        print("before")
        await asyncio.sleep(seconds)
        print("after")
        return self.traceparent

    @function
    async def spin(self) -> None:
        while True:
            pass

    @function
    async def stick(self) -> int:
        return sum(range(10**11))

    @function
    async def hold_out(self) -> None:
        while True:
            try:
                await asyncio.sleep(30)
            except BaseException:
                pass

    @function
    async def large(self, letter: str, size: int, seconds: float) -> str:
        await asyncio.sleep(seconds)
        return letter * size

    @function
    async def share(self, text: str, seconds: float) -> str:
        """Publish, wait while others do, and read it as it was at first."""
        self.publish("text", text.encode())
        view = self.published("tables", "text")
        await asyncio.sleep(seconds)
        return bytes(view).decode()

    @function
    async def leave(self) -> int:
        self.left = asyncio.create_task(asyncio.sleep(60))
        return 1

    @function
    async def was_left(self) -> bool:
        return self.left.cancelled()

    @function
    async def fall(self) -> None:
        os._exit(3)

    @function
    async def quit(self) -> None:
        raise SystemExit(3)

    @function
    async def pid(self) -> int:
        return os.getpid()
'''
PLAIN = """
from pluginsandbox.sdk import Plugin, function, slot


class Plain(Plugin):
    @function
    def f(self) -> None: ...
"""


PATIENT = 20_000
"""Milliseconds."""


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    folder = tmp_path_factory.mktemp("overlap")
    with running(
        folder,
        plugin(
            folder,
            "tables",
            ASYNC,
            "Tables",
            concurrency=3,
            call_timeout_milliseconds=PATIENT,
            published_bytes=100_000,
        ),
        plugin(folder, "hasty", ASYNC, "Tables", concurrency=3, call_timeout_milliseconds=700),
        plugin(
            folder,
            "own",
            ASYNC,
            "Tables",
            "PerContext",
            concurrency=3,
            call_timeout_milliseconds=PATIENT,
        ),
        plugin(folder, "one", ASYNC, "Tables"),
    ) as host:
        yield host


def at_once(*calls: Callable[[], Answer]) -> list[Answer]:
    with ThreadPoolExecutor(len(calls)) as pool:
        return [each.result() for each in [pool.submit(call) for call in calls]]


def asked(
    host: Host, function: str, context: str, to: str = "tables", **arguments: object
) -> Callable[[], Answer]:
    return lambda: host.call(function, arguments, context, to)


@pytest.mark.parametrize("to", ["tables", "own"])
def test_calls_of_one_context_overlap(host: Host, to: str) -> None:
    host.call("wait", {"seconds": 0}, "meeting", to)
    met = at_once(*[asked(host, "meet", "meeting", to, others=3)] * 3)
    assert [answer.json for answer in met] == [3, 3, 3]


def test_a_context_never_has_more_than_its_limit(host: Host) -> None:
    answers = at_once(*[asked(host, "wait", "crowd", seconds=0.05)] * 12)
    assert max(answer.json for answer in answers) <= 3


def test_contexts_do_not_wait_for_each_other(host: Host) -> None:
    for context in ("a", "b"):  # a context's first call is alone until it is bound
        host.call("wait", {"seconds": 0}, context, "tables")
    with ThreadPoolExecutor(8) as pool:
        slow = [pool.submit(asked(host, "wait", "a", seconds=3)) for _ in range(4)]
        host.until(lambda: host.ask("/stats").json["queued"] == 1)
        quick = asked(host, "wait", "b", seconds=0)()
        assert quick.status == 200
        assert not any(call.done() for call in slow)
        assert [call.result().status for call in slow] == [200] * 4


def test_without_concurrency_async_calls_come_one_at_a_time(host: Host) -> None:
    answers = at_once(*[asked(host, "wait", "alone", "one", seconds=0.02)] * 4)
    assert [answer.json for answer in answers] == [1] * 4


def test_what_waits_too_long_is_stopped_and_its_neighbours_go_on(host: Host) -> None:
    host.call("wait", {"seconds": 0}, "late", "hasty")
    pid = host.call("pid", {}, "late", "hasty").json
    late, good = at_once(
        asked(host, "wait", "late", "hasty", seconds=30),
        asked(host, "wait", "late", "hasty", seconds=0.1),
    )
    assert (late.status, late.json["executed"]) == (504, "maybe")
    assert good.status == 200
    assert host.call("pid", {}, "late", "hasty").json == pid
    host.until(lambda: host.said("panic: CallTimeout"))


def test_what_spins_is_stopped_and_its_neighbours_go_on(host: Host) -> None:
    pid = host.call("pid", {}, "spin", "hasty").json
    spun, good = at_once(
        asked(host, "spin", "spin", "hasty"), asked(host, "pid", "beside", "hasty")
    )
    assert (spun.status, good.status) == (504, 200)
    assert host.call("pid", {}, "spin", "hasty").json == pid


def test_what_holds_out_against_its_time_out_is_told_again(host: Host) -> None:
    host.call("wait", {"seconds": 0}, "holds", "hasty")
    held = host.call("hold_out", {}, "holds", "hasty")
    assert (held.status, held.json["executed"]) == (504, "maybe")
    assert host.call("pid", {}, "holds", "hasty").status == 200


def test_what_cannot_be_stopped_costs_its_worker(host: Host) -> None:
    host.call("wait", {"seconds": 0}, "stuck", "hasty")
    before = host.metric("worker_exits_total", plugin="hasty", cause="Timeout")
    stuck = host.call("stick", {}, "stuck", "hasty")
    assert (stuck.status, stuck.json["executed"]) == (504, "maybe")
    assert "could not be interrupted" in stuck.json["detail"]
    assert host.metric("worker_exits_total", plugin="hasty", cause="Timeout") == before + 1
    assert host.call("pid", {}, "stuck", "hasty").status == 200


def test_all_calls_of_a_worker_that_dies_may_have_run(host: Host) -> None:
    host.call("wait", {"seconds": 0}, "falls", "own")
    with ThreadPoolExecutor(3) as pool:
        others = [pool.submit(asked(host, "wait", "falls", "own", seconds=15)) for _ in range(2)]
        host.until(lambda: host.ask("/stats").json["inflight"] == 2)
        fallen = asked(host, "fall", "falls", "own")()
        answers = [fallen, *(call.result() for call in others)]
    assert [(each.status, each.json["executed"]) for each in answers] == [(502, "maybe")] * 3
    assert host.call("wait", {"seconds": 0}, "falls", "own").json == 1


def test_large_results_come_whole_and_in_any_order(host: Host) -> None:
    sizes = {"a": 500_000, "b": 70_000, "c": 10, "d": 200_000, "e": 900_000}
    answers = at_once(
        *(
            asked(host, "large", f"large-{n % 2}", letter=letter, size=size, seconds=0.05 * (5 - n))
            for n, (letter, size) in enumerate(sizes.items())
        )
    )
    assert [answer.json for answer in answers] == [c * size for c, size in sizes.items()]


def test_each_call_has_what_it_borrowed_until_its_own_end(host: Host) -> None:
    texts = [letter * 2000 for letter in "abcdef"]
    answers = at_once(
        *(
            asked(host, "share", f"share-{n % 3}", text=text, seconds=0.3 - 0.05 * n)
            for n, text in enumerate(texts)
        )
    )
    assert [answer.json for answer in answers] == texts


def test_each_call_has_its_own_trace_and_log(host: Host) -> None:
    traces = [f"00-{n:032x}-00000000000000ff-01" for n in (1, 2, 3)]
    answers = at_once(
        *(
            lambda trace=trace, n=n: host.call(
                "trace", {"seconds": 0.1 * n}, f"trace-{n % 2}", "tables", traceparent=trace
            )
            for n, trace in enumerate(traces)
        )
    )
    assert [answer.json for answer in answers] == traces


def test_what_a_call_leaves_running_ends_with_it(host: Host) -> None:
    assert host.call("leave", {}, "left", "tables").json == 1
    assert host.call("was_left", {}, "left", "tables").json is True


def test_leaving_python_is_a_plugins_own_error(host: Host) -> None:
    pid = host.call("pid", {}, "quits", "tables").json
    quits = host.call("quit", {}, "quits", "tables")
    assert (quits.status, quits.json["exception"]) == (500, "SystemExit")
    assert host.call("pid", {}, "quits", "tables").json == pid


def test_a_context_is_given_back_when_its_calls_have_ended(host: Host) -> None:
    host.call("wait", {"seconds": 0}, "ends", "tables")
    with ThreadPoolExecutor(2) as pool:
        calls = [pool.submit(asked(host, "wait", "ends", seconds=2)) for _ in range(2)]
        host.until(lambda: host.ask("/stats").json["inflight"] == 2)
        ended = host.request("DELETE", "/v1/contexts/ends").json["reclaimed"]
        assert [each["cause"] for each in ended] == ["Released"]
        assert [call.result().json for call in calls] == [2, 2]


def test_functions_that_are_not_async_cannot_overlap(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    folder = tmp_path_factory.mktemp("plain")
    durable = ASYNC.replace("slot(int, default=0)", "slot(int, default=0, durable=True)")
    with running(
        folder,
        plugin(folder, "plain", PLAIN, "Plain", concurrency=2),
        plugin(folder, "durable", durable, "Tables", concurrency=2),
        ready=False,
    ) as host:
        host.until(lambda: all(p["state"] == "Failed" for p in host.ask("/stats").json["plugins"]))
        told = [each["message"] for each in host.ask("/stats").json["plugins"]]
    assert "limits.concurrency is above 1, but function f is not async" in told[0]
    assert "limits.concurrency is above 1, but slot 'most' is durable" in told[1]
