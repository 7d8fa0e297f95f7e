"""Plugins that crash, hang, or cannot be loaded: what it costs them, and that it costs no other."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
import pytest

from tests.integration.host_bed import Host, plugin, running


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    with running(
        tmp_path,
        plugin(tmp_path, "bad", call_timeout_milliseconds=300),
        plugin(tmp_path, "good"),
        plugin(tmp_path, "own", isolation="PerContext", call_timeout_milliseconds=300),
    ) as host:
        yield host


def test_a_crash_costs_its_worker_and_no_other(host: Host) -> None:
    for name in ("bad", "good"):
        host.call("add", {}, "a", plugin=name)
    fallen = host.call("fall", {}, "b", plugin="bad")
    assert (fallen.status, fallen.json["executed"]) == (502, "maybe")
    lost = host.call("add", {}, "a", plugin="bad", Sandbox_Bind="existing")
    assert (lost.status, lost.json["cause"]) == (410, "Crashed")
    assert host.call("add", {}, "a", plugin="good", Sandbox_Bind="existing").json == 2
    assert host.call("add", {}, "a", plugin="bad").json == 1
    assert host.metric("reclaims_total", plugin="bad", cause="Crashed") == 2
    assert host.metric("worker_exits_total", plugin="bad", cause="Exit") == 1
    host.until(lambda: host.said("panic: "))


def test_with_a_worker_per_context_a_crash_costs_one_context(host: Host) -> None:
    for context in ("a", "b"):
        host.call("add", {}, context, plugin="own")
    assert host.call("fall", {}, "a", plugin="own").status == 502
    assert host.call("add", {}, "b", plugin="own", Sandbox_Bind="existing").json == 2
    assert host.call("add", {}, "a", plugin="own").json == 1
    host.until(lambda: host.said("panic: "))


def test_what_a_crashed_worker_had_is_measured(host: Host) -> None:
    labels = {"plugin": "bad", "cause": "Crashed", "kind": "measured"}
    before = host.metric("reclaimed_bytes_total", **labels)
    host.call("keep", {"mebibytes": 20}, "a", plugin="bad")
    host.call("add", {}, "b", plugin="bad")
    assert host.call("fall", {}, "a", plugin="bad").status == 502
    given_back = host.metric("reclaimed_bytes_total", **labels) - before
    assert 20 << 20 <= given_back < 40 << 20


def test_step_one_of_a_time_out_interrupts_the_call_and_keeps_the_state(host: Host) -> None:
    host.call("add", {}, "a", plugin="bad")
    started = time.monotonic()
    late = host.call("sleep", {"seconds": 30}, "a", plugin="bad")
    assert time.monotonic() - started < 10
    assert (late.status, late.json["executed"]) == (504, "maybe")
    assert host.call("add", {}, "a", plugin="bad", Sandbox_Bind="existing").json == 2
    assert host.metric("worker_exits_total", plugin="bad") == 0


def test_step_two_of_a_time_out_ends_the_worker(host: Host) -> None:
    host.call("add", {}, "a", plugin="bad")
    host.call("add", {}, "a", plugin="good")
    stuck = host.call("stick", {}, "b", plugin="bad")
    assert (stuck.status, stuck.json["executed"]) == (504, "maybe")
    assert "could not be interrupted" in stuck.json["detail"]
    assert host.call("add", {}, "a", plugin="bad", Sandbox_Bind="existing").status == 410
    assert host.call("add", {}, "a", plugin="good", Sandbox_Bind="existing").json == 2
    assert host.metric("worker_exits_total", plugin="bad", cause="Timeout") == 1


def test_calls_behind_a_killed_one_run_on_the_next_worker(host: Host) -> None:
    with ThreadPoolExecutor(5) as pool:
        stuck = pool.submit(host.call, "stick", {}, "a", "bad")
        host.until(lambda: host.ask("/stats").json["inflight"] == 1)
        behind = [pool.submit(host.call, "add", {}, f"b{n}", "bad") for n in range(4)]
        assert stuck.result().status == 504
        assert [call.result().status for call in behind] == [200] * 4


def test_a_callers_own_time_out_tightens_the_plugins(host: Host) -> None:
    started = time.monotonic()
    late = host.call("sleep", {"seconds": 0.9}, "a", plugin="good", Sandbox_Timeout_Ms="100")
    assert late.status == 504
    assert time.monotonic() - started < 0.8
    never_wider = host.call("sleep", {"seconds": 5}, "a", plugin="bad", Sandbox_Timeout_Ms="9000")
    assert never_wider.status == 504


def test_a_caller_whose_time_is_over_before_its_call_ran_is_told_so(host: Host) -> None:
    with ThreadPoolExecutor(2) as pool:
        stuck = pool.submit(host.call, "stick", {}, "a", "bad")
        host.until(lambda: host.ask("/stats").json["inflight"] == 1)
        host.call("add", {}, "a", plugin="good")
        # The binding's first call holds the second back: it waits, and does not run.
        behind = host.call("add", {}, "a", plugin="bad", Sandbox_Timeout_Ms="50")
        assert (behind.status, behind.json["executed"]) == (504, "no")
        assert stuck.result().status == 504


BROKEN = {
    "syntax": ("def f(:\n", "ImportFailed", "syntax"),
    "import": ("import no_such_module\n", "ImportFailed", "no_such_module"),
    "class": ("x = 1\n", "EntryPointInvalid", "Counter"),
    "exit": ("import os\nos._exit(3)\n", "ImportFailed", "exit status 3"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_plugin_that_cannot_be_loaded_leaves_the_host_up_and_says_why(
    name: str, tmp_path: Path
) -> None:
    code, reason, words = BROKEN[name]
    with running(
        tmp_path, plugin(tmp_path, "broken", code), plugin(tmp_path, "good"), ready=False
    ) as host:
        host.until(lambda: [each["state"] for each in plugins(host)] == ["Failed", "Loaded"])
        told = plugins(host)[0]
        assert told["reason"] == reason
        assert words in told["message"]
        ready = host.ask("/readyz")
        assert (ready.status, host.ask("/healthz").status) == (503, 200)
        assert "broken" in ready.body.decode()
        refused = host.call("add", {}, "a", plugin="broken")
        assert (refused.status, refused.json["executed"]) == (503, "no")
        assert refused.json["reason"] == reason
        assert host.call("add", {}, "a", plugin="good").status == 200
        assert host.said("plugin refused")


def test_a_wrong_digest_is_never_loaded(tmp_path: Path) -> None:
    wrong = msgspec.structs.replace(plugin(tmp_path), digest="sha256:" + "0" * 64)
    with running(tmp_path, wrong, ready=False) as host:
        host.until(lambda: plugins(host)[0]["state"] == "Failed")
        assert plugins(host)[0]["reason"] == "DigestMismatch"


def test_a_plugins_words_are_logged_within_a_budget(tmp_path: Path) -> None:
    noisy = """
        from pluginsandbox.sdk import Plugin, function

        class Counter(Plugin):
            @function
            def shout(self) -> None:
                for n in range(400):
                    print(f"line {n}")
    """
    with running(tmp_path, plugin(tmp_path, "noisy", noisy)) as host:
        calls = 0

        def both_told() -> bool:
            nonlocal calls
            calls += 1
            assert host.call("shout", {}, "a", plugin="noisy").status == 200
            by_worker = host.said("lines were dropped: too many in one second")
            return bool(by_worker and host.said("lines of a plugin were dropped"))

        host.until(both_told)
        (line, *_) = host.said("lines of a plugin were dropped")
        assert (line["plugin"], line["lines"] > 0) == ("noisy", True)
        assert host.said("line 1")
        assert len(host.said('"line ')) < 400 * calls


def plugins(host: Host) -> list[dict[str, str]]:
    found: list[dict[str, str]] = host.ask("/stats").json["plugins"]
    return found
