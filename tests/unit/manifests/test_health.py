"""Argo CD's health script, run by LuaJIT as Argo CD runs it by its own Lua."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from lupa.luajit21 import LuaRuntime

from pluginsandbox.api.reasons import Reason
from pluginsandbox.api.sandbox import PluginSandbox
from tests.integration.operator.rules import kstatus
from tests.manifests import copies

FOLDER = copies.HEALTH.parent
SCRIPT = copies.HEALTH.read_text()
CASES: list[dict[str, Any]] = yaml.safe_load((FOLDER / "health_test.yaml").read_text())["tests"]


def health(body: dict[str, Any], script: str = SCRIPT) -> dict[str, str]:
    """Run the script with what Argo CD gives it: the object, and the base and table libraries."""
    lua = LuaRuntime(register_eval=False, register_builtins=False)
    lua.execute("io, os, package, require, dofile, loadfile, debug, ffi, jit = nil")
    lua.globals().obj = lua.table_from(body, recursive=True)
    return dict(lua.execute(script).items())


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["inputPath"])
def test_each_case_has_the_health_that_is_written_down(case: dict[str, Any]) -> None:
    body = yaml.safe_load((FOLDER / case["inputPath"]).read_text())
    assert health(body) == case["healthStatus"]
    read = PluginSandbox.read_strictly(body)
    assert {each.reason for each in read.status.conditions} <= set(Reason)


def test_every_file_is_a_case_and_every_health_has_one() -> None:
    named = {case["inputPath"] for case in CASES}
    assert named == {f"testdata/{each.name}" for each in (FOLDER / "testdata").iterdir()}
    words = {case["healthStatus"]["status"] for case in CASES}
    assert words == {"Healthy", "Progressing", "Degraded", "Suspended"}


STATUSES = st.sampled_from(["True", "False", "Unknown"])
CONDITIONS = st.fixed_dictionaries(
    {"Ready": STATUSES}, optional={"Reconciling": STATUSES, "Stalled": STATUSES}
)


@given(
    conditions=CONDITIONS,
    seen=st.sampled_from([-1, 1, 2]),
    reason=st.sampled_from(["Available", "Suspended"]),
)
def test_health_and_kstatus_agree(conditions: dict[str, str], seen: int, reason: str) -> None:
    listed = [{"type": t, "status": s, "reason": reason} for t, s in conditions.items()]
    status = {"observedGeneration": seen, "conditions": listed}
    current = "Suspended" if reason == "Suspended" else "Healthy"
    expected = {"Current": current, "InProgress": "Progressing", "Failed": "Degraded"}
    found = health({"metadata": {"generation": 2}, "status": status})
    assert found["status"] == expected[kstatus(status, 2)]


def test_an_object_without_a_status_is_progressing() -> None:
    assert health({"metadata": {"generation": 1}})["status"] == "Progressing"


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (None, "Progressing"),
        ({}, "Progressing"),
        ({"health": {"status": "Missing"}, "sync": {"status": "OutOfSync"}}, "Missing"),
        ({"health": {"status": "Healthy"}, "sync": {"status": "OutOfSync"}}, "Progressing"),
        ({"health": {"status": "Healthy"}, "sync": {"status": "Synced"}}, "Healthy"),
        ({"health": {"status": "Degraded"}, "sync": {"status": "Synced"}}, "Degraded"),
    ],
)
def test_an_application_is_healthy_for_the_next_wave_only_when_it_is_synced_and_healthy(
    status: dict[str, Any] | None, expected: str
) -> None:
    script = copies.CUSTOM / "argoproj.io" / "Application" / "health.lua"
    body = {} if status is None else {"status": status}
    assert health(body, script.read_text())["status"] == expected
