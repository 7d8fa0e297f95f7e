"""The end of a host: SIGTERM, a second one, Ctrl-C, and what a pod's successor starts with."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.integration.host_bed import Host, plugin, running


def test_sigterm_serves_what_is_bound_then_gives_everything_back(tmp_path: Path) -> None:
    with (
        running(
            tmp_path,
            plugin(tmp_path, call_timeout_milliseconds=5000),
            plugin(tmp_path, "own", isolation="PerContext"),
        ) as host,
        ThreadPoolExecutor(1) as pool,
    ):
        for name in ("a", "b"):
            host.call("add", {"amount": 5}, name)
            host.call("add", {"amount": 5}, name, plugin="own")
        workers = host.workers()
        assert workers
        last = pool.submit(host.call, "sleep", {"seconds": 2}, "a")
        host.until(lambda: host.ask("/stats").json["inflight"] == 1)
        host.process.send_signal(signal.SIGTERM)
        host.until(lambda: host.ask("/readyz").status == 503)
        assert "draining" in host.ask("/readyz").body.decode()
        refused = host.call("add", {}, "new")
        assert (refused.status, refused.json["executed"]) == (503, "no")
        bound = host.call("add", {}, "b", plugin="own")
        assert (bound.status, bound.json) == (200, 6)
        assert bound.headers["connection"] == "close"
        assert last.result().status == 200
        assert host.process.wait(60) == 0
        assert len(host.said("ended by Shutdown")) == 4
        (end,) = host.said('"drained"')
        assert (end["reclaimed"], end["ended_by_force"]) == (2, 0)
        assert not any(Path(f"/proc/{pid}").exists() for pid in workers)


def test_calls_that_do_not_end_are_cut_off_within_the_grace_period(tmp_path: Path) -> None:
    patient = plugin(tmp_path, call_timeout_milliseconds=60_000)
    with (
        running(tmp_path, patient, termination_grace_seconds=8) as host,
        ThreadPoolExecutor(1) as pool,
    ):
        stuck = pool.submit(host.call, "stick", {}, "a")
        host.until(lambda: host.ask("/stats").json["inflight"] == 1)
        started = time.monotonic()
        assert host.stop() == 0
        assert time.monotonic() - started < 8
        assert stuck.result().status == 502
        assert host.said('"drained"')[0]["ended_by_force"] == 1


@pytest.mark.parametrize("signals", [[signal.SIGINT], [signal.SIGTERM, signal.SIGTERM]])
def test_who_is_in_a_hurry_does_not_wait_for_proxies(
    signals: list[signal.Signals], tmp_path: Path
) -> None:
    with running(tmp_path, plugin(tmp_path)) as host:
        host.call("add", {}, "a")
        started = time.monotonic()
        for number in signals:
            host.process.send_signal(number)
            host.until(lambda: host.said('"draining"'))
        assert host.process.wait(60) == 0
        assert time.monotonic() - started < 4
        assert host.said("ended by Shutdown")


def test_a_host_that_is_told_to_end_while_it_loads_ends(tmp_path: Path) -> None:
    slow = "import time\ntime.sleep(8)\n"
    with running(tmp_path, plugin(tmp_path, "slow", slow), ready=False) as host:
        assert host.stop() == 0


def test_a_successor_never_uses_a_generation_again(tmp_path: Path) -> None:
    generations = []
    for number in range(2):
        folder = tmp_path / str(number)
        folder.mkdir()
        with running(folder, plugin(folder)) as host:
            generations += [host.call("add", {}, name).generation for name in ("a", "b")]
            host.process.kill()
    assert generations == sorted(set(generations))


def test_a_port_that_is_taken_is_explained(tmp_path: Path) -> None:
    with running(tmp_path, plugin(tmp_path)) as host:
        assert explained(host, tmp_path) == 1


def explained(host: Host, folder: Path) -> int:
    program = str(Path(sys.executable).with_name("pluginsandbox"))
    words = ["--http", f"127.0.0.1:{host.http[1]}", "--admin", "127.0.0.1:0"]
    command = [program, "host", "--config", str(folder / "config.json"), *words]
    done = subprocess.run(command, capture_output=True, timeout=60, check=False)
    assert b"address already in use" in done.stderr
    assert b"Traceback" not in done.stderr
    return done.returncode
