"""The simulation: traces, figures, pictures, and the two commands."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest

from pluginsandbox import cli
from pluginsandbox.autoscaler import simulate, trace
from pluginsandbox.autoscaler.simulate import Figures, Model, Ours
from pluginsandbox.autoscaler.trace import TraceError
from tests.unit.autoscaler.worlds import policy

STEP = "seconds,demand\n0,12\n60,86\n179,86\n"
POLICY = """
apiVersion: pluginsandbox.dev/v1alpha1
kind: PluginSandbox
metadata: {name: step}
spec:
  plugins: [{name: anything}]
  scaling:
    maxReplicas: 100
    metrics: [{type: Concurrency, target: 1}]
"""


def figures(text: str, *, replicas: int = 12, call: float | None = None, **fields: Any) -> Figures:
    load, rules = trace.parse(text, "trace"), policy(**fields)
    target = rules.metrics[0].target
    seconds = simulate.run(load, Model(replicas, 4.0, target, call), Ours(rules))
    return simulate.figures(seconds, replicas)


def test_twelve_to_eighty_six_is_wanted_within_a_second_and_ready_in_five() -> None:
    """370 = 74 calls for 5 s; 12 pods for 61 s and 86 for the other 119 s."""
    assert figures(STEP) == Figures(5.0, 370.0, 12 * 61 + 86 * 119, 0.0, 0, 86)


def test_a_load_that_turns_mid_second_is_wanted_within_two() -> None:
    found = figures("seconds,demand\n0,12\n60.4,86\n179,86\n")
    assert found.time_to_capacity_seconds is not None
    assert found.time_to_capacity_seconds <= 2 + 4


def test_calls_that_pile_up_do_not_flood_the_cluster() -> None:
    """Knative's autoscaler goes to 557 pods on this load (see docs/autoscaling.md)."""
    assert 86 <= figures(STEP, call=1.0).peak < 172


def test_a_pod_that_serves_eight_calls_counts_eight() -> None:
    assert figures(STEP, metrics=[{"type": "Concurrency", "target": 8}]).peak == 12
    assert figures(STEP, replicas=2, metrics=[{"type": "Concurrency", "target": 8}]).peak == 11


def test_capacity_that_never_suffices_is_told_as_such() -> None:
    found = figures(STEP, maxReplicas=50)
    assert (found.time_to_capacity_seconds, found.peak) == (None, 50)


def test_waste_is_what_was_beyond_the_need_and_turns_are_counted() -> None:
    found = figures("seconds,demand\n0,5\n10,50\n20,5\n199,5\n", replicas=5)
    assert found.reversals == 1
    assert found.wasted_pod_seconds == found.pod_seconds - 190 * 5 - 10 * 50 + 45


def test_hosts_that_cannot_be_read_hold_the_count_in_a_trace_too() -> None:
    gap = "seconds,demand,readable\n0,12,yes\n30,50,no\n90,50,yes\n120,50,yes\n"
    assert figures(gap).time_to_capacity_seconds == 65.0


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "must hold the line 'seconds,demand'"),
        ("0,12\n", "line 1: the first line must be 'seconds,demand'"),
        ("seconds,demand\n0,nan\n", "line 2: demand must be from 0 to 1000000, not nan"),
        ("seconds,demand\n0,-1\n", "line 2: demand must be from 0 to 1000000, not -1"),
        ("seconds,demand\n0,1e99\n", "line 2: demand must be from 0 to 1000000, not 1e99"),
        ("seconds,demand\n0,1\n5,x\n", "line 3: demand must be a number, not 'x'"),
        ("seconds,demand\n0,1\n5,1\n4,1\n", "line 4: seconds must grow: 4 comes after 5"),
        ("seconds,demand\n1,1\n", "line 2: seconds must begin with 0, not 1"),
        ("seconds,demand\n0,1\ninf,1\n", "line 3: seconds must be from 0 to 604800, not inf"),
        ("seconds,demand\n0\n", "line 2: must have 2 fields, not 1"),
        ("seconds,demand,readable\n0,1,maybe\n", "line 2: readable must be yes or no"),
    ],
)
def test_a_bad_trace_is_refused_by_line_and_field(text: str, words: str) -> None:
    with pytest.raises(TraceError) as refusal:
        trace.parse(text, "load.csv")
    assert str(refusal.value).startswith("load.csv: ")
    assert words in str(refusal.value)


@pytest.fixture
def files(tmp_path: Path) -> Path:
    (tmp_path / "step.csv").write_text(STEP)
    (tmp_path / "step.yaml").write_text(POLICY)
    (tmp_path / "slow.yaml").write_text(POLICY + "    rates: {upPercent: 10}\n")
    return tmp_path


def run(folder: Path, *words: str, policies: tuple[str, ...] = ("step.yaml",)) -> int:
    named = [word for name in policies for word in ("--policy", str(folder / name))]
    options = ["--start-seconds", "4", "--replicas", "12"]
    return cli.main(["simulate", "--trace", str(folder / "step.csv"), *named, *options, *words])


def test_json_tells_figures_and_decisions(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(files, "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["timeToCapacitySeconds"] == 5
    assert found["waitingCallSeconds"] == 370
    assert found["reversals"] == 0
    surge = next(each for each in found["decisions"] if each["to"] == 86)
    assert (surge["seconds"], surge["from"], surge["reason"]) == (61, 12, "Surge")
    assert len(surge["inputs"]) <= 16
    assert all(type(value) is int for value in surge["inputs"].values())


def test_policies_stand_side_by_side_in_a_table_and_in_one_picture(
    files: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    picture = files / "step.svg"
    assert run(files, "--plot", str(picture), policies=("step.yaml", "slow.yaml")) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[:2] for line in lines[1:]] == [["step", "5.0"], ["slow", "29.0"]]
    words = [each.text for each in ET.parse(picture).iter("{http://www.w3.org/2000/svg}text")]  # noqa: S314
    for word in ("step", "slow", "demand", "ready capacity", "desired capacity", "waiting calls"):
        assert word in words


def test_a_record_is_replayed_and_a_forged_one_is_found(
    files: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kept = files / "decisions.jsonl"
    assert run(files, "--record", str(kept)) == 0
    assert cli.main(["replay", str(kept)]) == 0
    assert "none with another answer" in capsys.readouterr().out
    kept.write_bytes(kept.read_bytes().replace(b'"desired":86', b'"desired":87'))
    assert cli.main(["replay", str(kept), "--quiet"]) == 1
    assert "the record says 87: Surge" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("nonsense", "line 1: JSON is malformed"),
        ("{}", "line 1: Object missing required field `version`"),
        ('{"version": 1}', "line 1: Object missing required field `time`"),
    ],
)
def test_a_line_that_is_no_record_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], line: str, words: str
) -> None:
    (tmp_path / "bad.jsonl").write_text(line)
    assert cli.main(["replay", str(tmp_path / "bad.jsonl")]) == 1
    assert words in capsys.readouterr().err


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("maxReplicas: 100", "maxReplicas: 0"), "spec.scaling.maxReplicas: must be greater"),
        (("target: 1", "target: 0"), "spec.scaling.metrics[0].target: must be greater than"),
        (("Concurrency", "Contexts"), "spec.scaling.metrics must hold Concurrency"),
        (("maxReplicas: 100", "most: 100"), "spec.scaling.most: no such field; there are: "),
        (("kind: PluginSandbox", "kind: Pod"), "must hold one PluginSandbox, not 0"),
        (("  scaling:", "  scale:"), "spec.scaling must be set"),
    ],
)
def test_a_bad_policy_is_refused_by_file_and_field(
    files: Path, capsys: pytest.CaptureFixture[str], change: tuple[str, str], words: str
) -> None:
    (files / "step.yaml").write_text(POLICY.replace(*change))
    assert run(files) == 1
    assert words in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--start-seconds", "-1"), "--start-seconds must be from 0 to 3600, not -1"),
        (("--start-seconds", "nan"), "--start-seconds must be from 0 to 3600, not nan"),
        (("--replicas", "5000"), "--replicas must be from 0 to 1000, not 5000"),
        (("--call-seconds", "0"), "--call-seconds must be from 0.2 to 3600, not 0"),
        (("--plot", "/nowhere/step.svg"), "/nowhere/step.svg: cannot be written"),
    ],
)
def test_bad_options_are_named(
    files: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, str], said: str
) -> None:
    assert run(files, *words) == 1
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    ("word", "said"),
    [("yesterday", "must be a time such as 2026"), ("2026-11-27T20:00", "must end with its zone")],
)
def test_a_bad_beginning_is_told_with_an_example(
    files: Path, capsys: pytest.CaptureFixture[str], word: str, said: str
) -> None:
    with pytest.raises(SystemExit):
        run(files, "--at", word)
    assert said in capsys.readouterr().err


def test_a_schedule_holds_at_the_time_that_the_trace_is_said_to_begin(
    files: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sale = "{name: sale, schedule: '0 20 * * *', timeZone: Asia/Shanghai, durationSeconds: 60, "
    with (files / "step.yaml").open("a") as file:
        file.write(f"    schedules: [{sale} minReplicas: 40}}]\n")
    assert run(files, "--json", "--at", "2026-11-27T19:59:30+08:00") == 0
    decisions = json.loads(capsys.readouterr().out)["decisions"]
    began = next(each for each in decisions if each["reason"] == "Schedule")
    assert (began["seconds"], began["from"], began["to"]) == (30, 12, 40)


def test_help_tells_what_a_trace_is(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cli.main(["simulate", "--help"])
    assert "seconds,demand" in capsys.readouterr().out
