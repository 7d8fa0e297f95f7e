"""Durable slots of a real host: workers are killed where it hurts, and callers find their state."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from pluginsandbox.api.host_config import Isolation
from tests.integration.host_bed import Answer, Host, plugin, running

LEDGER = '''
import os
import sys
import time
from msgspec.msgpack import encode
from pluginsandbox.sdk import Plugin, function, slot


class Ledger(Plugin):
    """Two slots that belong together, one in place; and one that is not kept."""

    entries = slot(list[int], factory=list, durable=True)
    total = slot(int, default=0, durable=True)
    pad = slot(bytes, default=b"", durable=True)
    seen = slot(int, default=0)

    def on_restore(self, from_digest: str) -> None:
        print(f"restored {self.total.get()} from {from_digest!r}")
        if self.config.get("refuse") or -1 in self.entries.get():
            raise ValueError("a ledger with -1 in it")

    def on_panic(self, error: BaseException) -> None:
        print(f"panic: {error}")

    @function
    def add(self, amount: int, seconds: float = 0.0) -> int:
        self.seen.set(self.seen.get() + 1)
        self.entries.get().append(amount)
        time.sleep(seconds)
        self.total.set(self.total.get() + amount)
        return self.total.get()

    @function
    def look(self) -> list[int]:
        entries = self.entries.get()
        assert sum(entries) == self.total.get()
        return [len(entries), self.total.get(), self.seen.get()]

    @function
    def fall(self, amount: int) -> int:
        self.add(amount)
        os._exit(3)

    @function
    def fail(self, amount: int) -> int:
        self.add(amount)
        raise ValueError("after the fact")

    @function
    def stick(self, amount: int) -> int:
        self.add(amount)
        return sum(range(10**11))

    @function
    def hoard(self) -> None:
        self.add(1)
        self.other = bytearray(1 << 40)

    @function
    def fill(self, size: int) -> int:
        self.pad.set(b"x" * size)
        return size

    @function
    def padded(self) -> int:
        return len(self.pad.get())

    @function
    def lie(self, epoch: int, n: int, slots: dict[str, str]) -> int:
        """Answer this call itself, with durable slots of another epoch or number."""
        above = sys._getframe()
        while not hasattr(above.f_locals.get("frame"), "traceparent"):
            above = above.f_back
        call = above.f_locals["frame"]
        named = {name: value.encode() for name, value in slots.items()}
        point = [call.context + epoch, n, encode(named)]
        os.write(3, encode([3, call.call, 0, b"1", 0.0, False, 0, point]))
        time.sleep(0.2)
        return 1
'''


ISOLATIONS: dict[str, Isolation] = {"shared": "PerPlugin", "own": "PerContext"}


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    folder = tmp_path_factory.mktemp("durable")
    with running(
        folder,
        *(
            plugin(
                folder,
                name,
                LEDGER,
                "Ledger",
                isolation,
                call_timeout_milliseconds=1000,
                durable_bytes=300_000,
            )
            for name, isolation in ISOLATIONS.items()
        ),
        plugin(folder, "small", LEDGER, "Ledger", "PerContext", durable_bytes=500),
        max_queued_calls=10_000,
    ) as host:
        yield host


def kill(host: Host) -> None:
    """End all workers there are."""
    for pid in host.workers():
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def lose(host: Host, context: str, to: str) -> None:
    """End all workers, until the host knows that a binding has none."""

    def lost() -> bool:
        kill(host)
        return not live(host, context, to)

    host.until(lost)


def live(host: Host, context: str, to: str) -> bool:
    found = host.request("GET", f"/v1/contexts/{context}").json["bindings"]
    return next(bool(each["live"]) for each in found if each["plugin"] == to)


def bound(answer: Answer) -> str:
    return answer.headers["sandbox-binding"].partition(";")[0]


@pytest.mark.parametrize("to", ["shared", "own"])
def test_a_worker_killed_right_after_the_answer_has_lost_nothing(host: Host, to: str) -> None:
    before = host.metric("restores_total", plugin=to, outcome="restored")
    for amount in (1, 2, 3):
        answer = host.call("add", {"amount": amount}, "after", to)
        assert answer.status == 200
        lose(host, "after", to)
    seen = host.call("look", {}, "after", to, Sandbox_Bind="existing")
    assert (seen.json, bound(seen)) == ([3, 6, 0], "restored")
    again = host.call("look", {}, "after", to)
    assert bound(again) == "live"
    assert host.metric("restores_total", plugin=to, outcome="restored") == before + 3
    assert host.metric("restore_duration_seconds_count", plugin=to) >= before + 3
    assert host.metric("reclaims_total", plugin=to, cause="Crashed") == 0


@pytest.mark.parametrize("to", ["shared", "own"])
def test_a_worker_killed_in_a_call_leaves_nothing_of_it(host: Host, to: str) -> None:
    host.call("add", {"amount": 5}, "during", to)
    with ThreadPoolExecutor(1) as pool:
        dying = pool.submit(host.call, "add", {"amount": 7, "seconds": 0.3}, "during", to)
        host.until(lambda: host.ask("/stats").json["inflight"] == 1)
        kill(host)
        lost = dying.result()
    assert (lost.status, lost.json["executed"]) == (502, "maybe")
    assert "as before the call" in lost.json["detail"]
    assert host.call("look", {}, "during", to).json == [1, 5, 0]


@pytest.mark.parametrize("to", ["shared", "own"])
def test_a_crash_and_a_time_out_leave_nothing(host: Host, to: str) -> None:
    host.call("add", {"amount": 5}, "ends", to)
    assert host.call("fall", {"amount": 1}, "ends", to).status == 502
    assert host.call("look", {}, "ends", to).json == [1, 5, 0]
    stuck = host.call("stick", {"amount": 1}, "ends", to)
    assert (stuck.status, stuck.json["executed"]) == (504, "maybe")
    assert host.call("look", {}, "ends", to).json == [1, 5, 0]
    stopped = host.call("add", {"amount": 1, "seconds": 5}, "ends", to)
    assert stopped.status == 504
    after = host.call("look", {}, "ends", to)
    assert (after.json, bound(after)) == ([1, 5, 1], "live")  # undone in the worker that lives on


def test_a_call_that_raises_leaves_what_it_left(host: Host) -> None:
    assert host.call("fail", {"amount": 4}, "raises", "own").status == 500
    full = host.call("hoard", {}, "raises", "own")
    assert (full.status, full.json["exception"]) == (500, "MemoryError")
    assert host.call("look", {}, "raises", "own").json == [2, 5, 2]
    lose(host, "raises", "own")
    assert host.call("look", {}, "raises", "own").json == [2, 5, 0]


def test_a_generation_that_is_gone_is_told_and_durable_state_goes_on(host: Host) -> None:
    first = host.call("add", {"amount": 1}, "exact", "own")
    generation = first.headers["sandbox-binding"].partition("generation=")[2]
    assert host.call("fall", {"amount": 1}, "exact", "own").status == 502
    exact = host.call("look", {}, "exact", "own", Sandbox_Bind=f"existing; generation={generation}")
    assert (exact.status, exact.json["cause"]) == (410, "Crashed")
    view = host.request("GET", "/v1/contexts/exact").json["bindings"][0]
    assert (view["live"], view["durableBytes"] > 0) == (False, True)
    assert host.call("look", {}, "exact", "own", Sandbox_Bind="existing").json == [1, 1, 0]


def test_over_the_limit_the_call_fails_and_both_sides_are_as_before(host: Host) -> None:
    assert host.call("add", {"amount": 1}, "limit", "small").json == 1
    full = host.call("fill", {"size": 1000}, "limit", "small")
    assert (full.status, full.json["executed"]) == (500, "yes")
    assert "limits.durableBytes is 500" in full.json["detail"]
    assert host.call("padded", {}, "limit", "small").json == 0
    assert host.call("fill", {"size": 100}, "limit", "small").json == 100
    assert host.call("fall", {"amount": 1}, "limit", "small").status == 502
    assert host.call("padded", {}, "limit", "small").json == 100
    assert host.call("look", {}, "limit", "small").json == [1, 1, 0]


@pytest.mark.parametrize("size", [31_000, 33_000, 66_000, 250_000])
def test_a_state_of_any_size_goes_and_comes(host: Host, size: int) -> None:
    context = f"size-{size}"
    assert host.call("fill", {"size": size}, context, "own").json == size
    assert host.call("fall", {"amount": 1}, context, "own").status == 502
    restored = host.call("padded", {}, context, "own")
    assert (restored.json, bound(restored)) == (size, "restored")
    host.request("DELETE", f"/v1/contexts/{context}")


def test_a_refused_state_is_dropped_and_the_next_call_starts_afresh(host: Host) -> None:
    host.call("add", {"amount": -1}, "refused", "own")
    assert host.call("fall", {"amount": 1}, "refused", "own").status == 502
    refused = host.call("look", {}, "refused", "own")
    assert (refused.status, refused.json["executed"]) == (410, "no")
    assert refused.json["cause"] == "Evicted"
    assert "a ledger with -1 in it" in refused.json["detail"]
    gone = host.call("look", {}, "refused", "own", Sandbox_Bind="existing")
    assert (gone.status, gone.json["cause"]) == (410, "Evicted")
    assert host.call("look", {}, "refused", "own").json == [0, 0, 0]
    assert host.metric("restores_total", plugin="own", outcome="refused") == 1


TINY = {"total": "\x07"}
LIES = {
    "an earlier epoch": (-1, 3, TINY),
    "a later epoch": (1, 1, TINY),
    "the last number again": (0, 2, TINY),
    "a number too far": (0, 4, TINY),
    "no number": (0, 0, TINY),
    "a whole new state": (0, 1, TINY),
    "more slots than there may be": (0, 3, {f"s{n}": "x" for n in range(65)}),
    "more than durableBytes": (0, 3, {"total": "x" * 600}),
}


@pytest.mark.parametrize("lie", LIES)
def test_a_worker_that_lies_of_its_state_is_ended(host: Host, lie: str) -> None:
    context = lie.replace(" ", "-")
    for amount in (1, 2):
        assert host.call("add", {"amount": amount}, context, "small").status == 200
    before = host.metric("worker_exits_total", plugin="small", cause="Protocol")
    epoch, n, slots = LIES[lie]
    liar = host.call("lie", {"epoch": epoch, "n": n, "slots": slots}, context, "small")
    assert (liar.status, liar.json["executed"]) == (502, "maybe")
    assert host.metric("worker_exits_total", plugin="small", cause="Protocol") == before + 1
    assert host.call("look", {}, context, "small").json == [2, 3, 0]


def test_a_state_that_is_the_very_next_is_taken(host: Host) -> None:
    """So what ends the liars above is their lie, not how it is told."""
    host.call("add", {"amount": 7}, "next", "small")
    taken = host.call("lie", {"epoch": 0, "n": 2, "slots": TINY}, "next", "small")
    assert taken.json == 1


def test_what_was_held_is_given_back_with_the_context(host: Host) -> None:
    host.call("fill", {"size": 50_000}, "held", "own")
    held = host.metric("durable_bytes", plugin="own")
    assert host.call("fall", {"amount": 1}, "held", "own").status == 502
    assert host.metric("durable_bytes", plugin="own") == held
    ended = host.request("DELETE", "/v1/contexts/held").json["reclaimed"]
    assert [each["cause"] for each in ended] == ["Released"]
    assert host.metric("durable_bytes", plugin="own") <= held - 50_000


def test_the_death_of_the_zygote_costs_no_durable_state(host: Host) -> None:
    for to in ("small", "own"):
        host.call("add", {"amount": 9}, "zygote", to)
    (zygote,) = host.zygotes()
    os.kill(zygote, signal.SIGKILL)
    host.until(lambda: not live(host, "zygote", "small") and not live(host, "zygote", "own"))
    for to in ("small", "own"):
        assert host.call("look", {}, "zygote", to, Sandbox_Bind="existing").json == [1, 9, 0]


def test_calls_and_kills_at_random_lose_nothing_acknowledged(host: Host) -> None:
    """Four callers, one context each; a fifth thread kills workers at random moments."""
    chance, over = random.Random(20261127), threading.Event()  # noqa: S311
    before = host.metric("restores_total", plugin="own", outcome="restored")

    def kill_some() -> None:
        for _ in range(60):
            time.sleep(chance.uniform(0.0, 0.04))  # at whatever moment it is then
            if workers := host.workers():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(chance.choice(workers), signal.SIGKILL)
        over.set()

    def talk(context: str) -> None:
        total, number = 0, 0
        while not over.is_set():
            answer = host.call("add", {"amount": number}, context, "own")
            if answer.status == 200:
                assert answer.json == total + number
                total, number = total + number, number + 1
            elif answer.status == 502:
                assert looked(host, context, "own") == total  # nothing of it
            else:
                assert answer.json["executed"] == "no", answer.json
        assert looked(host, context, "own") == total

    killer = threading.Thread(target=kill_some)
    killer.start()
    try:
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(talk, [f"random-{n}" for n in range(4)]))
    finally:
        killer.join()
    assert host.metric("restores_total", plugin="own", outcome="restored") > before + 5


def looked(host: Host, context: str, to: str) -> int:
    while True:
        seen = host.call("look", {}, context, to)
        if seen.status == 200:
            return int(seen.json[1])
        assert seen.status in {502, 503}, seen.json
