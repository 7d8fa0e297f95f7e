"""The bench reads its tools rightly and pairs what it compares."""

from __future__ import annotations

from pluginsandbox.autoscaler import simulate, trace
from pluginsandbox.autoscaler.simulate import Model
from tests.bench import calls, rivals, table, traces
from tests.bench.table import Spread
from tests.demo import metrics

PRINTED = """
Running 3s test @ http://127.0.0.1:1/
  Latency Distribution
     50%  812.00us
     75%    1.20ms
     90%    1.90ms
     99%    4.50ms
  120000 requests in 3.00s, 12.00MB read
  Socket errors: connect 0, read 2, write 0, timeout 1
  Non-2xx or 3xx responses: 3
Requests/sec:  40000.50
"""
PAGE = """
# TYPE pluginsandbox_contexts gauge
pluginsandbox_contexts{namespace="shop",sandbox="shop"} 2.0
# TYPE pluginsandbox_reclaims_total counter
pluginsandbox_reclaims_total{namespace="shop",sandbox="shop",plugin="a",cause="Idle"} 1.0
# TYPE process_cpu_seconds_total counter
process_cpu_seconds_total 1.0
"""


def test_what_wrk_prints_is_read_with_its_units_and_errors() -> None:
    run = calls.parse(PRINTED)
    assert (run.rate, run.p50, run.p99, run.errors) == (40000.5, 0.812, 4.5, 5)


def test_ratios_are_taken_pair_by_pair() -> None:
    ratios = table.ratios(Spread((10.0, 40.0, 9.0)), Spread((10.0, 20.0, 10.0)))
    assert ratios.values == (1.0, 2.0, 0.9)
    assert ratios.text(1) == "1.0 (0.9 to 2.0)"


def test_metrics_are_named_without_what_is_the_same_for_all_and_only_ours_are_told() -> None:
    series = metrics.parse(PAGE)
    reclaims = 'pluginsandbox_reclaims_total{plugin="a", cause="Idle"}'
    assert series == {"pluginsandbox_contexts": 2.0, reclaims: 1.0}
    assert metrics.changed({"pluginsandbox_contexts": 2.0}, series) == [(reclaims, 1.0)]


def test_hpa_doubles_every_fifteen_seconds_as_kubernetes_documents() -> None:
    load = trace.parse("seconds,demand\n0,12\n60,86\n179,86\n", "step")
    seconds = simulate.run(load, Model(12, 4.0, 1), rivals.hpa(1))
    changes = [second.desired for second in seconds]
    assert sorted(set(changes)) == [12, 24, 48, 86]
    assert [changes.index(pods) + 1 for pods in (24, 48, 86)] == [75, 90, 105]


def test_the_oracle_lets_no_call_wait() -> None:
    load = trace.parse("seconds,demand\n0,12\n60,86\n120,3\n179,86\n", "step")
    model = Model(12, 4.0, 1)
    seconds = simulate.run(load, model, rivals.Oracle(load, model))
    assert simulate.figures(seconds, 12).waiting_call_seconds == 0


def test_each_trace_is_one_that_can_be_read() -> None:
    for name in traces.SHAPES:
        text = (traces.FOLDER / f"{name}.csv").read_text(encoding="utf-8")
        assert trace.parse(text, name).seconds == traces.SHAPES[name].seconds
