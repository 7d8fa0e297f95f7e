"""Autoscalers against the same traces: ours, Knative's own code, HPA, and one that knows it all.

Every autoscaler gets the same second's sample and scales the same pods (`autoscaler.simulate`), so
the figures do not depend on the machine: the same code gives the same tables.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Iterator
from pathlib import Path

from pluginsandbox.api import policy
from pluginsandbox.autoscaler import drawing, simulate, trace
from pluginsandbox.autoscaler.simulate import Figures, Model, Ours, Scaler, Second
from pluginsandbox.autoscaler.trace import Trace
from tests.bed.shell import REPOSITORY
from tests.bench import rivals, table, traces

PAGE = REPOSITORY / "docs" / "autoscaling.md"
PICTURES = REPOSITORY / "docs" / "pictures"
POLICIES = Path(__file__).with_name("policies")
HEADS = ("autoscaler", "time to capacity, s", "waiting call-s", "pod-s", "wasted", "reversals")
OURS, LEAN, KPA, ORACLE = "ours", "ours, lean", "KPA", "oracle"
DRAWN = (OURS, LEAN, KPA, "HPA", ORACLE)
DRAWN_PILING = (OURS, LEAN, KPA)
"""HPA's queue would flatten the others'."""


@dataclasses.dataclass(frozen=True)
class Scenario:
    """A trace, and the sandbox that meets it.

    Args:
        trace: Its name.
        replicas: Pods at the beginning.
        start_seconds: How long a pod takes to start.
        call_seconds: How long a call takes, where calls are to pile up.
        policies: Policies of ours beside the two that every trace sees.

    """

    trace: str
    replicas: int
    start_seconds: float = 4.0
    call_seconds: float | None = None
    policies: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        """What it is called in the tables."""
        about = f", pods start in {self.start_seconds:g} s"
        if self.call_seconds is not None:
            about += f", calls of {self.call_seconds:g} s pile up"
        return self.trace + about


SCENARIOS = (
    Scenario("step", 12),
    Scenario("step", 12, call_seconds=1.0),
    Scenario("ramp", 10),
    Scenario("daily", 5, policies=("forecast",)),
    Scenario("flash-sale", 8),
    Scenario("sawtooth", 10),
    Scenario("slow-starter", 10, start_seconds=30.0),
    Scenario("metric-gap", 20),
    Scenario("noisy-low", 3),
)


HELD_OUT = (
    Scenario("held-out-bursts", 6),
    Scenario("held-out-walk", 40),
    Scenario("held-out-morning", 8),
)


@dataclasses.dataclass(frozen=True)
class Run:
    """One autoscaler's run of a scenario."""

    seconds: list[Second]
    figures: Figures


def run() -> None:
    """Run all scenarios; publish tables and pictures."""
    _publish("scaling", SCENARIOS)
    _publish("scaling-held-out", HELD_OUT)


def _publish(name: str, scenarios: tuple[Scenario, ...]) -> None:
    runs = {scenario: _runs(scenario) for scenario in scenarios}
    parts = [_summary(runs), *(_part(scenario, found) for scenario, found in runs.items())]
    table.publish(name, "\n\n".join(parts), PAGE)


def _runs(scenario: Scenario) -> dict[str, Run]:
    load = trace.parse((traces.FOLDER / f"{scenario.trace}.csv").read_text(), scenario.trace)
    model = Model(scenario.replicas, scenario.start_seconds, 1, scenario.call_seconds)
    found: dict[str, Run] = {}
    with contextlib.ExitStack() as stack:
        for name, make in _scalers(scenario, load, model, stack):
            print(f"{scenario.title}: {name}", flush=True)
            seconds = simulate.run(load, model, make())
            found[name] = Run(seconds, simulate.figures(seconds, scenario.replicas))
    return found


def _scalers(
    scenario: Scenario, load: Trace, model: Model, stack: contextlib.ExitStack
) -> Iterator[tuple[str, Callable[[], Scaler]]]:
    def kpa(target: float) -> Scaler:
        return stack.enter_context(rivals.Kpa(target, load.at(0), scenario.replicas))

    yield OURS, lambda: _ours("default")
    yield LEAN, lambda: _ours("lean")
    for name in scenario.policies:
        yield f"{OURS}, {name}", lambda name=name: _ours(name)  # type: ignore[misc]
    yield KPA, lambda: kpa(1)
    yield "KPA, target 0.8", lambda: kpa(0.8)
    yield "HPA", lambda: rivals.hpa(1)
    yield "HPA, fast policy", lambda: rivals.fast_hpa(1)
    if scenario.call_seconds is None:  # it knows the trace, not what piles up
        yield ORACLE, lambda: rivals.Oracle(load, model)


def _ours(name: str) -> Ours:
    return Ours(policy.load(POLICIES / f"{name}.yaml"))


def _part(scenario: Scenario, runs: dict[str, Run]) -> str:
    """Return a scenario's table and its picture, which is drawn on the way."""
    file = scenario.trace + ("" if scenario.call_seconds is None else "-piling")
    drawn = DRAWN if scenario.call_seconds is None else DRAWN_PILING
    panels = [drawing.Panel(name, runs[name].seconds, 1) for name in drawn]
    PICTURES.mkdir(exist_ok=True)
    picture = PICTURES / f"scaling-{file}.svg"
    picture.write_text(drawing.svg(scenario.title, panels), encoding="utf-8")
    rows = [_row(name, one.figures) for name, one in runs.items()]
    shown = f"![{scenario.title}](pictures/{picture.name})"
    return f"### {scenario.title}\n\n{table.markdown(HEADS, rows)}\n\n{shown}"


def _row(name: str, found: Figures) -> tuple[str, ...]:
    return (
        name,
        _seconds(found),
        f"{found.waiting_call_seconds:.0f}",
        f"{found.pod_seconds:.0f}",
        f"{found.wasted_pod_seconds:.0f}",
        str(found.reversals),
    )


def _seconds(found: Figures) -> str:
    needed = found.time_to_capacity_seconds
    return "never" if needed is None else f"{needed:.1f}"


def _summary(runs: dict[Scenario, dict[str, Run]]) -> str:
    """Return ours beside KPA, trace by trace, as shares of what KPA took."""
    two = ("waiting", "pod-s")
    heads = ("trace", "time to capacity", *two, "lean: time", *two, "oracle: pod-s")
    rows = [
        (
            scenario.title,
            *_shares(found[OURS], found[KPA]),
            *_shares(found[LEAN], found[KPA]),
            list(_shares(found[ORACLE], found[KPA]))[-1] if ORACLE in found else "-",
        )
        for scenario, found in runs.items()
    ]
    return "Shares of what KPA took; below 1 is ahead of it.\n\n" + table.markdown(heads, rows)


def _shares(ours: Run, theirs: Run) -> Iterator[str]:
    pairs = (
        (ours.figures.time_to_capacity_seconds, theirs.figures.time_to_capacity_seconds),
        (ours.figures.waiting_call_seconds, theirs.figures.waiting_call_seconds),
        (ours.figures.pod_seconds, theirs.figures.pod_seconds),
    )
    for mine, other in pairs:
        yield "-" if mine is None or not other else f"{mine / other:.2f}"
