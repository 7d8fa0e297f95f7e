"""Pods follow the load that real hosts tell of, and no call fails as they come and go."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pluginsandbox import cli
from tests.bed import load, pods, sandboxes
from tests.bed.kubectl import Kubectl, until
from tests.bed.platform import Platform
from tests.e2e.conftest import fresh_namespace, ready

pytestmark = pytest.mark.pods

POLICY: dict[str, Any] = {
    "maxReplicas": 4,
    "metrics": [{"type": "RequestsPerSecond", "target": 1}],
    "stableWindowSeconds": 6,
    "scaleDownDelaySeconds": 5,
    "rates": {"downPercent": 100},
}
CALM = POLICY | {"metrics": [{"type": "RequestsPerSecond", "target": 1_000_000}]}
SECONDS = 120


def settle(kubectl: Kubectl, namespace: str, count: int) -> None:
    until(
        f"{count} pods",
        lambda: pods.settled(kubectl, namespace, "tally", count),
        seconds=SECONDS,
        every=1,
    )


def spec(kubectl: Kubectl, namespace: str) -> str:
    return json.dumps(kubectl.get("psb", "tally", "-n", namespace)["spec"])


def last(kubectl: Kubectl, namespace: str) -> tuple[int, int]:
    status = kubectl.get("psb", "tally", "-n", namespace)["status"]
    step = status["scaling"]["lastDecision"]
    return step["from"], step["to"]


def test_one_pod_becomes_four_and_one_again_under_load_and_no_call_fails(
    operator: Platform, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    kubectl = operator.kubectl
    with fresh_namespace(kubectl) as namespace:
        sandboxes.apply(kubectl, namespace, *sandboxes.tally(scaling=POLICY))
        ready(kubectl, namespace, "tally")
        settle(kubectl, namespace, 1)
        before = spec(kubectl, namespace)
        endpoint = kubectl.get("psb", "tally", "-n", namespace)["status"]["endpoint"]
        with load.running(kubectl, namespace, operator.operator.name, endpoint) as calling:
            settle(kubectl, namespace, 4)
            assert last(kubectl, namespace)[1] == 4
            assert spec(kubectl, namespace) == before, "nothing that Git owns was written"
            calling.wait(300)
            sandboxes.apply(kubectl, namespace, *sandboxes.tally(scaling=CALM))
            settle(kubectl, namespace, 1)
            assert last(kubectl, namespace)[1] == 1
            calling.wait(300)
            books = calling.finish()
        assert books.clean, (books, books.notes)
        words = ["decisions", "tally", "-n", namespace, "--kubeconfig", str(kubectl.kubeconfig)]
        assert cli.main(words) == 0
        table = capsys.readouterr().out
        assert "1 -> 4: " in table
        assert "4 -> 1: " in table
        assert cli.main([*words, "--record", str(tmp_path / "live.jsonl")]) == 0
        assert cli.main(["replay", str(tmp_path / "live.jsonl")]) == 0
        active = sandboxes.conditions(kubectl, namespace, "tally")["ScalingActive"]
        assert (active["status"], active["reason"]) == ("True", "FollowsLoad")
