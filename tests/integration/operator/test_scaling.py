"""The number of pods follows the load that hosts tell of, on a real API server."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from pluginsandbox import cli, cli_decisions
from pluginsandbox.autoscaler.sketch import PODS
from pluginsandbox.controller import kinds
from pluginsandbox.controller.cluster import Cluster
from pluginsandbox.controller.settings import ScalingRights
from tests.integration.operator.bed import SANDBOX, Bed, Body, eventually, sandbox, source
from tests.integration.operator.policy import POLICY, pods

pytestmark = pytest.mark.cluster

MANUAL_END = 'kubectl patch psb shop -n {} --type merge -p \'{{"spec":{{"replicas":null}}}}\''


async def spec(bed: Bed) -> str:
    body = await bed.get(kinds.SANDBOX)
    assert body is not None
    return json.dumps([body["spec"], body["metadata"]["generation"]])


async def last(bed: Bed) -> Any:
    return ((await bed.status()).get("scaling") or {}).get("lastDecision") or {}


async def test_pods_come_with_the_load_and_go_with_it_and_the_spec_stays_as_it_is(
    bed: Bed,
) -> None:
    async with bed.operator() as operator:
        await bed.put(source())
        body = sandbox(scaling=POLICY)
        body["metadata"]["annotations"] = {"pluginsandbox.dev/revision": "abc123"}
        await bed.put(body)
        await pods(bed, 1)
        assert await bed.get(kinds.SECRET, f"{SANDBOX}-peers"), "ready for several pods"
        await bed.until("ScalingActive", "True", "FollowsLoad")
        before = await spec(bed)
        bed.hosts.calls = 4
        await pods(bed, 4)
        up = await last(bed)
        assert (up["from"], up["to"], up["revision"]) == (1, 4, "abc123")
        assert up["inputs"]["lastSecond"] == 4000
        assert len(up["inputs"]) <= 16

        async def limited() -> bool:
            return "limited by MaxReplicas" in (await bed.condition("ScalingActive"))[2]

        await eventually("four pods with four calls each ask for more", limited)
        bed.hosts.calls = 0
        await pods(bed, 1)
        assert (await last(bed))["to"] == 1
        assert await spec(bed) == before, "nothing that Git owns was written"
        assert (await bed.condition("Reconciling"))[:2] == ("False", "RolledOut")
        (sets,) = await bed.find(kinds.REPLICA_SET)
        assert sets, "no roll-out came of it"
        await eventually("an Event", lambda: bed.events("ScaledUp"))
        address = f"http://127.0.0.1:{operator.health.port}/decisions"
        query = {"namespace": bed.namespace, "name": SANDBOX}
        async with aiohttp.ClientSession() as session, session.get(address, params=query) as answer:
            kept = (await answer.json())["decisions"]
        steps = [(each["from"], each["to"]) for each in kept if each["direction"] != "Hold"]
        assert steps[0] == (1, 4)
        assert steps[-1][1] == 1
        lags = operator.metrics.registry.get_sample_value(
            "pluginsandbox_scale_decision_lag_seconds_count"
        )
        assert lags == len(steps)


async def test_a_number_set_by_hand_holds_until_it_is_taken_away(bed: Bed) -> None:
    async with bed.operator():
        await bed.put(source())
        await bed.put(sandbox(scaling=POLICY))
        await pods(bed, 1)
        path = kinds.SANDBOX.path(bed.namespace, SANDBOX)
        merge = "application/merge-patch+json"
        bed.hosts.calls = 4
        await bed.write("PATCH", path, {"spec": {"replicas": 6}}, merge)
        await pods(bed, 6)
        message = await bed.until("ScalingActive", "False", "ManualReplicas")
        assert MANUAL_END.format(bed.namespace) in message
        await bed.write("PATCH", path, {"spec": {"replicas": None}}, merge)
        await pods(bed, 4)
        await bed.until("ScalingActive", "True", "FollowsLoad")


async def test_a_raised_minimum_is_a_decision(bed: Bed) -> None:
    async with bed.operator():
        await bed.put(source())
        await bed.put(sandbox(scaling=POLICY))
        await pods(bed, 1)
        await bed.until("ScalingActive", "True", "FollowsLoad")
        await bed.put(sandbox(scaling=POLICY | {"minReplicas": 3}))
        await pods(bed, 3)

        async def told() -> bool:
            made = await last(bed)
            return (made.get("from"), made.get("to"), made.get("reason")) == (1, 3, "Minimum")

        await eventually("a decision", told)


async def test_hosts_that_lie_or_cannot_be_read_never_move_the_number(bed: Bed) -> None:
    async with bed.operator():
        await bed.put(source())
        await bed.put(sandbox(scaling=POLICY))
        bed.hosts.calls = 3
        await pods(bed, 4)
        plain = bed.hosts.stats
        for lie in (-1, 10**12, 1.5, None, "many"):
            sample = {"time": 2**31, "concurrency": lie, "queued": 0, "requests": 0}
            bed.hosts.stats = plain | {"samples": [sample | {"refused": 0, "contexts": 0}]}
            await asyncio.sleep(1)
        message = await bed.until("ScalingActive", "Unknown", "HostsUnreachable")
        assert "there stay 4" in message
        assert (await bed.status())["desiredReplicas"] == 4
        bed.hosts.stats = plain
        bed.hosts.calls = 0
        await pods(bed, 1)
        await bed.until("ScalingActive", "True", "FollowsLoad")


async def test_a_new_operator_takes_no_pod_away_and_reads_the_windows_back(bed: Bed) -> None:
    async with bed.operator():
        await bed.put(source())
        await bed.put(sandbox(scaling=POLICY | {"scaleDownDelaySeconds": 60}))
        bed.hosts.calls = 1
        await pods(bed, 1)
        bed.hosts.calls = 3
        await pods(bed, 4)
        made = await last(bed)
    seen = set()
    async with bed.operator() as operator:

        async def looked() -> bool:
            status = await bed.status()
            seen.add((status["desiredReplicas"], (await bed.condition("ScalingActive"))[0]))
            return operator._scaler.scaled(kinds.Key(bed.namespace, SANDBOX)) is not None

        await eventually("a first look", looked)
        await asyncio.sleep(3)  # long enough for steps that must not come
        await looked()
        assert seen == {(4, "True")}
        assert await last(bed) == made


async def test_a_pause_holds_the_pods_and_equal_bounds_fix_them(bed: Bed) -> None:
    async with bed.operator():
        await bed.put(source())
        bed.hosts.calls = 3
        await bed.put(sandbox(scaling=POLICY))
        await pods(bed, 4)
        await bed.put(sandbox(scaling=POLICY | {"paused": "Both"}))
        await bed.until("ScalingActive", "False", "ScalingPaused")
        bed.hosts.calls = 0
        await asyncio.sleep(3)  # long enough for a step that must not come
        await pods(bed, 4)
        await bed.put(sandbox(scaling=POLICY | {"maxReplicas": 2, "minReplicas": 2}))
        await bed.until("ScalingActive", "False", "FixedReplicas")
        await pods(bed, 2)


def chosen(bed: Bed, pods: list[Body]) -> list[int]:
    return sorted(bed.hosts.contexts[pod["status"]["podIP"]] for pod in pods)


async def test_the_pods_with_the_fewest_contexts_go_and_no_other_pod_is_written_to(
    bed: Bed,
) -> None:
    await bed.hosts.apart(5, 1, 7, 2)
    bed.hosts.calls = 1
    async with bed.operator() as operator:
        await bed.put(source())
        await bed.put(sandbox(scaling=POLICY | {"minReplicas": 4, "maxReplicas": 5}))
        await pods(bed, 4)
        before = await bed.find(kinds.POD)
        assert chosen(bed, before) == [1, 2, 5, 7]
        await bed.put(sandbox(scaling=POLICY | {"minReplicas": 2, "maxReplicas": 5}))
        bed.hosts.calls = 0
        await pods(bed, 2)
        after = await bed.find(kinds.POD)
        writes = operator.metrics.registry.get_sample_value(
            "pluginsandbox_writes_total", {"kind": "Pod", "verb": "patch"}
        )
    assert chosen(bed, after) == [5, 7]
    assert not any(kinds.DELETION_COST in pod["metadata"].get("annotations", {}) for pod in after)
    assert writes == 2


async def test_without_the_right_to_mark_pods_there_are_fewer_all_the_same(bed: Bed) -> None:
    await bed.hosts.apart(1, 2)
    quiet = bed.settings.model_copy(update={"scaling": ScalingRights(choose_pods=False)})
    bed.hosts.calls = 2
    async with bed.operator(quiet) as operator:
        await bed.put(source())
        await bed.put(sandbox(scaling=POLICY | {"maxReplicas": 2}))
        await pods(bed, 2)
        bed.hosts.calls = 0
        await pods(bed, 1)
        labels = {"kind": "Pod", "verb": "patch"}
        found = operator.metrics.registry.get_sample_value("pluginsandbox_writes_total", labels)
    assert not found


async def test_what_is_kept_of_a_live_surge_replays_to_the_same_answers(
    bed: Bed, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async with bed.operator() as operator:
        await bed.put(source())
        await bed.put(sandbox(scaling=POLICY))
        for calls, count in ((1, 1), (4, 4), (0, 1), (2, 4), (0, 1)):
            bed.hosts.calls = calls
            await pods(bed, count)
        address = f"http://127.0.0.1:{operator.health.port}/decisions"

        async def as_the_api_server_would(
            _: Cluster, __: str, ___: str, ____: int, _____: str, query: dict[str, str]
        ) -> Any:
            async with (
                aiohttp.ClientSession() as session,
                session.get(address, params=query) as answer,
            ):
                return await answer.json()

        monkeypatch.setattr(Cluster, "ask_pod", as_the_api_server_would)
        monkeypatch.setattr(cli_decisions, "OPERATOR", kinds.SANDBOX_LABEL)
        file = tmp_path / "live.jsonl"
        words = ["decisions", SANDBOX, "-n", bed.namespace, "--kubeconfig", str(bed.kubeconfig)]
        words += ["--operator-namespace", bed.namespace]
        assert await asyncio.to_thread(cli.main, [*words, "--record", str(file)]) == 0
        assert await asyncio.to_thread(cli.main, words) == 0
        shown = capsys.readouterr().out
    assert cli.main(["replay", str(file)]) == 0
    told = capsys.readouterr().out
    assert "none with another answer" in told
    assert "1 -> 4: " in told
    assert PODS in shown
    assert "4 -> 1: " in shown
