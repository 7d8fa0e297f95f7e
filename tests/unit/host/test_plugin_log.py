"""What plugins say: whose it is, during which call, and never too much of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from pluginsandbox.host.plugin_log import BURST_LINES, LINE_CHARACTERS, LINES_PER_SECOND
from tests.unit.host.fake_runtime import Bench, FakeWorker, config, plugin

Lines = list[Any]
TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
IDS = {"trace_id": TRACE[3:35], "span_id": TRACE[36:52]}


@pytest.fixture
def lines() -> Iterator[Lines]:
    with structlog.testing.capture_logs() as captured:
        yield captured


def started(bench: Bench) -> FakeWorker:
    bench.run()
    return bench.runtime.living[0]


def test_a_line_names_plugin_context_and_trace_of_the_call_it_came_from(lines: Lines) -> None:
    bench = Bench(config())
    worker = started(bench)
    worker.say("nobody's")
    bench.call(context="secret-id", traceparent=TRACE)
    worker.say("traced")
    bench.run()
    bench.call(context="secret-id")
    worker.say("untraced")
    said = {line["event"]: line for line in lines if line["event"].endswith(("traced", "dy's"))}
    assert "context" not in said["nobody's"]
    assert "trace_id" not in said["untraced"]
    assert said["traced"]["context"] == said["untraced"]["context"] != "secret-id"
    assert IDS.items() <= said["traced"].items()
    assert {line["plugin"] for line in said.values()} == {"echo"}


def test_a_call_that_failed_is_a_line_of_the_host_with_its_trace(lines: Lines) -> None:
    bench = Bench(config())
    started(bench)
    bench.call(b"arguments")
    bench.call(b"raise", traceparent=TRACE)
    bench.run()
    (line,) = [line for line in lines if line["event"] == "call failed"]
    assert IDS.items() <= line.items()
    assert (line["outcome"], line["exception"], line["function"]) == (
        "raised",
        "ValueError",
        "echo",
    )
    assert "bad" not in str(line)


def test_lines_beyond_a_plugins_budget_are_dropped_and_their_number_told(lines: Lines) -> None:
    bench = Bench(config(plugin(), plugin("quiet")))
    bench.run()
    loud, quiet = bench.runtime.living
    for number in range(int(BURST_LINES) + 30):
        loud.say(f"line {number}")
    quiet.say("still heard")
    assert len([line for line in lines if line["event"].startswith("line ")]) == BURST_LINES
    assert lines[-1]["event"] == "still heard"
    bench.advance(2)
    (told,) = [line for line in lines if "dropped" in line["event"]]
    assert (told["plugin"], told["lines"]) == ("echo", 30)
    for _ in range(int(2 * LINES_PER_SECOND)):
        loud.say("again")
    assert len([line for line in lines if line["event"] == "again"]) == 2 * LINES_PER_SECOND


def test_a_line_is_cut(lines: Lines) -> None:
    bench = Bench(config())
    started(bench).say("x" * 2 * LINE_CHARACTERS)
    assert len(lines[-1]["event"]) == LINE_CHARACTERS
