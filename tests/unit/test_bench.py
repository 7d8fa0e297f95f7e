"""The bench reads its tools rightly and pairs what it compares."""

from __future__ import annotations

from xml.etree import ElementTree as ET

import pytest

from pluginsandbox.autoscaler import simulate, trace
from pluginsandbox.autoscaler.simulate import Model
from tests.bench import chart, control_rows, goals, load, rivals, table, traces
from tests.bench.arrivals import Result
from tests.bench.control_rows import FLOOR, OURS, Measured, Restart
from tests.bench.goals import Goal
from tests.bench.table import Spread
from tests.demo import metrics

TEXT = "{http://www.w3.org/2000/svg}text"
PRINTED = """{"rate": 2.0, "offered": 4, "p50": 812.5, "p99": 4500, "p999": 9000, "max": 9000,
"answers": 8, "errors": 3, "waiting": 8}"""
PAGE = """
# TYPE pluginsandbox_contexts gauge
pluginsandbox_contexts{namespace="shop",sandbox="shop"} 2.0
# TYPE pluginsandbox_reclaims_total counter
pluginsandbox_reclaims_total{namespace="shop",sandbox="shop",plugin="a",cause="Idle"} 1.0
# TYPE process_cpu_seconds_total counter
process_cpu_seconds_total 1.0
"""


def test_what_the_load_prints_is_read_with_what_the_server_paid_for_an_answer() -> None:
    run = load.parse(PRINTED, cpu_seconds=0.001, seconds=4)
    assert (run.rate, run.p50, run.p999, run.errors) == (2.0, 812.5, 9000, 3)
    assert run.cpu == pytest.approx(125)


@pytest.mark.parametrize(("answered", "held"), [(1000.0, True), (989.5, True), (988.0, False)])
def test_a_rate_is_held_by_who_answers_all_but_a_hundredth(answered: float, held: bool) -> None:  # noqa: FBT001
    printed = PRINTED.replace('"rate": 2.0', f'"rate": {answered}')
    printed = printed.replace('"offered": 4', '"offered": 1000')
    assert load.parse(printed, cpu_seconds=1, seconds=4).held is held


def test_a_picture_is_well_formed_and_names_every_row_and_its_figure() -> None:
    rows = [("ours & <us>", Spread((1.0, 2.0, 3.0))), ("theirs", Spread((1000.0,)))]
    for logarithmic in (False, True):
        drawn = chart.svg("a title", rows, ours="ours", logarithmic=logarithmic)
        root = ET.fromstring(drawn)  # noqa: S314 - our own
        texts = {"".join(each.itertext()) for each in root.iter(TEXT)}
        assert {"ours & <us>", "theirs", "2", "1,000"} <= texts


def test_a_goal_is_held_or_missed_by_its_median() -> None:
    spread = Spread((0.5, 0.9, 2.0))
    assert [Goal("", limit, spread).held for limit in (1.0, 0.8)] == [True, False]
    assert [Goal("", limit, spread, least=True).held for limit in (1.0, 0.8)] == [False, True]
    assert "**missed**" in goals.markdown([Goal("speed", 1.0, spread, least=True, unit=" ms")])


def test_bodies_have_the_size_that_is_asked_for() -> None:
    assert [len(load.body(size)) for size in (100, 4096)] == [100, 4096]


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


def _measured(name: str, *rounds: float) -> Measured:
    held = [Result(10.0, (seconds,) * 20) for seconds in rounds]
    lost = Result(20.0, (0.2,) * 10 + (5.2,) * 10)
    return Measured(name, [*held, lost], [0.015, 0.016, 0.03, 0.01])


def test_many_sandboxes_are_held_against_the_floor_of_the_same_run() -> None:
    ours = _measured(OURS, 0.2, 0.2, 0.2)
    ours.restarts = [Restart(1000, 120.0, 5.0, 0), Restart(5000, 300.0, 31.0, 0)]
    text = control_rows.markdown([_measured(FLOOR, 0.1, 0.9, 0.1), ours])
    assert "| PluginSandbox | 20/s | 5200 | 5200 | 5200 | no | 10.0 |" in text
    assert "| P99 at 10/s, of the floor's | at most 2.2 | 2.00 (0.22 to 2.00) | held |" in text
    assert (
        "| operator CPU each at 10/s | at most 20 ms | 16.00 (15.00 to 30.00) ms | held |" in text
    )
    assert "| highest rate held, of the floor's | at least 0.45 | 1.000 | held |" in text
    assert "| restart with 5000 | at most 30 s | 31.00 s | **missed** |" in text
    assert "goal" not in control_rows.markdown([ours]), "there is nothing to hold it against"
