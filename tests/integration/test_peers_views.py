"""What callers are told while pods disagree on who is there, and when a context finds no home."""

from __future__ import annotations

import signal
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.integration.group_bed import Pod, Sandbox, sandbox
from tests.integration.host_bed import Answer

TRIED = 12
"""Contexts, of which about half have the silent pod for their home."""


def pair(group: Sandbox) -> tuple[Pod, Pod]:
    first, second = group.start(), group.start()
    group.agree()
    return first, second


def test_while_the_home_is_silent_new_contexts_get_503_and_bound_ones_go_on(
    tmp_path: Path,
) -> None:
    with sandbox(tmp_path, queue_timeout_milliseconds=1500) as group:
        silent, other = pair(group)
        assert other.host.call("add", {}, "bound").json == 1
        silent.host.process.send_signal(signal.SIGSTOP)
        other.host.until(lambda: other.host.metric("peers_silent") == 1)
        names = [f"c{number}" for number in range(TRIED)]
        with ThreadPoolExecutor(TRIED) as pool:
            answers = list(pool.map(lambda name: other.host.call("add", {}, name), names))
        assert other.host.call("add", {}, "bound").json == 2
        assert Counter(answer.status for answer in answers).keys() == {200, 503}
        for answer in answers:
            if answer.status == 503:
                assert answer.json["executed"] == "no"
                assert "1 of the sandbox's 2 pods do not answer" in answer.json["detail"]
                assert int(answer.headers["retry-after"]) >= 1
        other.host.until(lambda: other.host.said("a member does not answer"))
        silent.host.process.send_signal(signal.SIGCONT)
        other.host.until(lambda: other.host.metric("peers_silent") == 0)
        for name, before in zip(names, answers, strict=True):
            made = 1 if before.status == 200 else 0
            assert [pod.host.call("add", {}, name).json - made for pod in (other, silent)] == [1, 2]
        totals = [pod.host.ask("/contexts").json["total"] for pod in (silent, other)]
        assert sum(totals) == TRIED + 1, "none is bound twice"


def leave(group: Sandbox, leaving: Pod, staying: Pod) -> Counter[str]:
    """Have a pod leave; return how its contexts fared, by what it counted before it was gone."""
    counted: Counter[str] = Counter()

    def look() -> bool:
        for outcome in ("taken", "refused", "late"):
            counted[outcome] = int(leaving.host.metric("handovers_total", outcome=outcome))
        counted["Evicted"] = int(leaving.host.metric("reclaims_total", cause="Evicted"))
        counted["Shutdown"] = int(leaving.host.metric("reclaims_total", cause="Shutdown"))
        return counted["Evicted"] + counted["Shutdown"] > 0

    staying.host.call("add", {}, "long")
    with ThreadPoolExecutor(1) as pool:
        # A pod waits for the answers to calls that it passed on: so long it can be asked.
        long = pool.submit(leaving.host.call, "wait", {"name": "looked"}, "long")
        staying.host.until(lambda: staying.host.ask("/stats").json["inflight"] == 1)
        leaving.host.process.terminate()
        leaving.host.until(look)
        look()  # once more: one number may have come between two others
        (group.folder / staying.name / "counter" / "looked").touch()
        assert long.result().status == 200
    assert leaving.host.process.wait(60) == 0
    group.drop(leaving)
    return counted


def add(pod: Pod, context: str, **headers: str) -> Answer:
    return pod.host.call("add", {}, context, plugin="ledger", **headers)


def test_a_context_that_is_handed_over_is_counted_as_taken_and_ends_as_shutdown(
    tmp_path: Path,
) -> None:
    with sandbox(tmp_path, termination_grace_seconds=25) as group:
        leaving, staying = pair(group)
        assert add(leaving, "moves").json == [1, 1]
        counted = leave(group, leaving, staying)
        assert counted == {"taken": 1, "refused": 0, "late": 0, "Evicted": 0, "Shutdown": 1}
        assert add(staying, "moves", Sandbox_Bind="existing").json == [2, 1]


def test_a_context_for_which_no_pod_has_room_ends_as_evicted_and_callers_are_told(
    tmp_path: Path,
) -> None:
    with sandbox(tmp_path, termination_grace_seconds=25) as group:
        group.ledger_contexts = 1
        leaving, staying = pair(group)
        assert add(staying, "takes-the-room").json == [1, 1]
        assert add(leaving, "moves").json == [1, 1]
        counted = leave(group, leaving, staying)
        assert counted == {"taken": 0, "refused": 1, "late": 0, "Evicted": 1, "Shutdown": 0}
        assert add(staying, "moves", Sandbox_Bind="existing").status == 410
        assert add(staying, "takes-the-room").json == [2, 2]
