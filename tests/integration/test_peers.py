"""Several real hosts are one sandbox: a context is in one of them, callers cannot tell which."""

from __future__ import annotations

import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.integration.group_bed import KEY, Pod, Sandbox, sandbox


def start(group: Sandbox, count: int) -> list[Pod]:
    pods = [group.start() for _ in range(count)]
    group.agree()
    return pods


def test_a_context_is_in_one_pod_and_every_pod_serves_it(tmp_path: Path) -> None:
    with sandbox(tmp_path) as group:
        pods = start(group, 3)
        first = pods[0].host.call("add", {}, "shanghai-1")
        assert (first.status, first.json, first.new) == (200, 1, True)
        for number, pod in enumerate([*pods, *pods], 2):
            answer = pod.host.call("add", {}, "shanghai-1")
            assert (answer.status, answer.json) == (200, number)
            assert answer.generation == first.generation
            assert ("forward;dur=" in answer.headers["server-timing"]) == (pod is not pods[0])
        held = [pod.host.ask("/contexts").json["total"] for pod in pods]
        assert held == [1, 0, 0]


def test_requests_about_a_context_reach_it_wherever_it_is(tmp_path: Path) -> None:
    with sandbox(tmp_path) as group:
        here, there = start(group, 2)
        assert there.host.request("GET", "/v1/contexts/a").status == 404
        made = there.host.request("PUT", "/v1/contexts/a", {"deadlineSeconds": 50})
        assert made.status == 201
        here.host.call("add", {}, "a")
        seen = here.host.request("GET", "/v1/contexts/a").json
        assert seen["deadlineSeconds"] == 50
        assert [binding["plugin"] for binding in seen["bindings"]] == ["counter"]
        changed = here.host.request("PUT", "/v1/contexts/a", {"deadlineSeconds": 40})
        assert (changed.status, changed.json["deadlineSeconds"]) == (200, 40)
        ended = here.host.request("DELETE", "/v1/contexts/a").json
        assert [one["cause"] for one in ended["reclaimed"]] == ["Released"]
        assert here.host.request("DELETE", "/v1/contexts/a").json["reclaimed"] == []
        assert here.host.call("add", {}, "a").new


def test_a_caller_that_wants_an_existing_binding_gets_it_or_none(tmp_path: Path) -> None:
    with sandbox(tmp_path) as group:
        here, there = start(group, 2)
        assert there.host.call("add", {}, "a", Sandbox_Bind="existing").status == 410
        assert there.host.ask("/contexts").json["total"] == 0
        bound = here.host.call("add", {}, "a")
        found = there.host.call("add", {}, "a", Sandbox_Bind="existing")
        assert (found.status, found.json) == (200, 2)
        exact = f"existing; generation={bound.generation + 1}"
        assert there.host.call("add", {}, "a", Sandbox_Bind=exact).status == 410


def test_errors_and_deadlines_are_the_same_from_every_door(tmp_path: Path) -> None:
    with sandbox(tmp_path) as group:
        here, there = start(group, 2)
        here.host.call("add", {}, "a")
        failed = there.host.call("fail", {"message": "no stock"}, "a")
        assert (failed.status, failed.json["executed"]) == (500, "yes")
        assert "no stock" in failed.json["detail"]
        wrong = there.host.call("add", {"amount": "x"}, "a")
        assert (wrong.status, wrong.json["argument"]) == (400, "amount")
        late = there.host.call("sleep", {"seconds": 5}, "a", Sandbox_Timeout_Ms="200")
        assert late.status == 504
        assert there.host.call("add", {}, "a").json == 2
        peer = {"Sandbox-Peer-Sender": "10.0.0.1/1"}
        assert there.host.request("GET", "/v1/plugins", headers=peer).status == 400
        assert there.host.metric("forwards_total", outcome="answered") == 4


def test_a_pod_that_crashes_takes_its_contexts_along_and_no_others(tmp_path: Path) -> None:
    with sandbox(tmp_path) as group:
        pods = start(group, 3)
        for number in range(30):
            assert pods[number % 3].host.call("add", {}, f"c{number}").json == 1
        group.crash(pods[0])
        group.agree()
        for number in range(30):
            answer = pods[1 + number % 2].host.call("add", {}, f"c{number}")
            assert (answer.status, answer.json) == (200, 1 if number % 3 == 0 else 2)


def test_a_pod_that_was_alone_gets_company_and_keeps_its_contexts(tmp_path: Path) -> None:
    with sandbox(tmp_path) as group:
        for file in group.keys.iterdir():
            file.unlink()
        alone = group.start()
        assert alone.host.call("add", {}, "a").json == 1
        group.share(KEY)
        second = group.start()
        group.agree()
        assert second.host.call("add", {}, "a").json == 2
        assert second.host.ask("/contexts").json["total"] == 0


def test_a_pod_waits_for_one_that_has_no_key_yet(tmp_path: Path) -> None:
    with sandbox(tmp_path) as group:
        for file in group.keys.iterdir():
            file.unlink()
        alone = group.start()
        alone.host.call("add", {}, "a")
        keys = group.folder / "others"
        keys.mkdir()
        (keys / "key").write_bytes(KEY)
        group.keys_of_next = keys
        second = group.start(ready=False)
        second.host.until(lambda: "do not answer with the group's key" in blocked(second))
        group.share(KEY)
        second.host.until(lambda: second.host.ask("/readyz").status == 200)
        assert second.host.call("add", {}, "a").json == 2


def blocked(pod: Pod) -> str:
    return pod.host.ask("/readyz").body.decode()


def test_a_pod_that_others_gave_up_gives_up_what_it_held_and_comes_back(tmp_path: Path) -> None:
    with sandbox(tmp_path) as group:
        lost, other = start(group, 2)
        assert lost.host.call("add", {"amount": 5}, "a").json == 5
        lost.host.process.send_signal(signal.SIGSTOP)
        group.name(other.address)
        other.host.until(lambda: other.host.metric("peers") == 1)
        assert other.host.call("add", {}, "a").json == 1
        group.name(lost.address, other.address)
        lost.host.process.send_signal(signal.SIGCONT)
        lost.host.until(lambda: lost.host.said("believe that this one had ended"))
        group.agree()
        lost.host.until(lambda: lost.host.metric("reclaims_total", cause="Evicted") == 1)
        assert lost.host.call("add", {}, "a").json == 2
        assert [pod.host.ask("/contexts").json["total"] for pod in (lost, other)] == [0, 1]


def test_a_pod_joins_by_one_that_serves_before_dns_names_it(tmp_path: Path) -> None:
    with sandbox(tmp_path) as group:
        first = group.start()
        first.host.call("add", {}, "a")
        second = group.start(named=False)
        assert second.host.call("add", {}, "a").json == 2
        group.agree()


def test_a_pod_that_is_first_waits_until_dns_names_it(tmp_path: Path) -> None:
    with sandbox(tmp_path) as group:
        first = group.start(ready=False, named=False)
        first.host.until(lambda: "does not name this pod's address" in blocked(first))
        group.name(first.address)
        first.host.until(lambda: first.host.ask("/readyz").status == 200)


def test_a_context_made_by_name_and_the_time_it_has_left_move_with_a_leaving_pod(
    tmp_path: Path,
) -> None:
    with sandbox(tmp_path, termination_grace_seconds=12) as group:
        leaving, staying = start(group, 2)
        leaving.host.request("PUT", "/v1/contexts/a", {"deadlineSeconds": 500})
        leaving.host.call("add", {}, "a", plugin="ledger")
        leaving.host.call("add", {}, "b")
        bound = leaving.host.call("add", {}, "a", plugin="ledger")
        group.stop(leaving)
        found = staying.host.request("GET", "/v1/contexts/a").json
        assert found["deadlineSeconds"] == 500
        exact = f"existing; generation={bound.generation}"
        gone = staying.host.call("add", {}, "a", plugin="ledger", Sandbox_Bind=exact)
        assert gone.status == 410
        again = staying.host.call("add", {}, "a", plugin="ledger", Sandbox_Bind="existing")
        assert (again.status, again.json) == (200, [3, 1])
        assert again.headers["sandbox-binding"].startswith("restored")
        assert staying.host.call("add", {}, "b").new


def test_a_pod_that_leaves_waits_for_calls_that_it_sent_on(tmp_path: Path) -> None:
    with sandbox(tmp_path, termination_grace_seconds=20) as group:
        here, there = start(group, 2)
        here.host.call("add", {}, "a")
        with ThreadPoolExecutor(1) as pool:
            long = pool.submit(there.host.call, "sleep", {"seconds": 9}, "a")
            here.host.until(lambda: here.host.ask("/stats").json["inflight"] == 1)
            group.stop(there)
            assert (long.result().status, long.result().json) == (200, 9.0)
        assert here.host.call("add", {}, "a").json == 2
