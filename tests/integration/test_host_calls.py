"""The public contract on port 8080 and 9090, by a real host with real workers."""

from __future__ import annotations

import http.client
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import msgspec
import pytest

from pluginsandbox.api import host_stats
from tests.integration.host_bed import Answer, Host, plugin, running

TRACEPARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
METRICS = {
    *("call_duration_seconds", "bind_duration_seconds", "load_duration_seconds", "contexts"),
    *("bindings", "reclaims_total", "reclaim_duration_seconds", "reclaimed_bytes_total"),
    *("worker_exits_total", "denials_total", "inflight_calls", "queued_calls"),
    *("refused_calls_total", "restores_total", "restore_duration_seconds", "durable_bytes"),
    *("forwards_total", "lookups_total", "handovers_total", "peers", "peers_silent"),
}


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    folder = tmp_path_factory.mktemp("host")
    with running(
        folder,
        plugin(folder, request_bytes=300_000, result_bytes=300_000, workers=2),
        plugin(folder, "own", isolation="PerContext", max_contexts=4),
        deadline_seconds=1000,
    ) as host:
        yield host


def test_a_context_keeps_its_state_and_no_other_sees_it(host: Host) -> None:
    first = host.call("add", {"amount": 2}, "state-a")
    again = host.call("add", {"amount": 3}, "state-a")
    other = host.call("add", {}, "state-b")
    elsewhere = host.call("add", {}, "state-a", plugin="own")
    assert [answer.json for answer in (first, again, other, elsewhere)] == [2, 5, 1, 1]
    assert (first.new, again.new) == (True, False)
    assert first.generation == again.generation < other.generation
    assert first.headers["content-type"] == "application/json"


def parts(answer: Answer) -> dict[str, float]:
    words = (part.strip().split(";dur=") for part in answer.headers["server-timing"].split(","))
    return {name: float(milliseconds) for name, milliseconds in words}


@pytest.mark.parametrize("plugin", ["counter", "own"])
def test_the_answer_tells_where_time_went(host: Host, plugin: str) -> None:
    began = time.monotonic()
    first = parts(host.call("sleep", {"seconds": 0.05}, "timing", plugin=plugin))
    again = parts(host.call("sleep", {"seconds": 0.05}, "timing", plugin=plugin))
    both = (time.monotonic() - began) * 1000
    assert list(first) == list(again) == ["queue", "bind", "call"]
    # Milliseconds, each part of the time counted once: together never more than it took.
    assert min(first["call"], again["call"]) >= 50
    assert sum(first.values()) + sum(again.values()) < both
    assert first["bind"] > again["bind"] == 0
    host.request("DELETE", "/v1/contexts/timing")


def test_a_call_behind_another_tells_how_long_it_waited(host: Host) -> None:
    host.call("add", {}, "timed-queue")
    with ThreadPoolExecutor(2) as pool:
        before = host.ask("/stats").json["requests"]
        slow = pool.submit(host.call, "sleep", {"seconds": 0.7}, "timed-queue")
        host.until(lambda: host.ask("/stats").json["requests"] > before)
        behind = parts(host.call("sleep", {"seconds": 0.05}, "timed-queue"))
        assert parts(slow.result())["queue"] < behind["queue"]
    # The sleep of the other is no time of this one's own.
    assert behind["queue"] > behind["call"] > 0


def test_without_a_context_state_is_fresh_and_given_back(host: Host) -> None:
    before = host.metric("reclaims_total", plugin="counter", cause="Released")
    assert [host.call("add").json for _ in range(3)] == [1, 1, 1]
    host.until(
        lambda: host.metric("reclaims_total", plugin="counter", cause="Released") == before + 3
    )


@pytest.mark.parametrize(
    ("arguments", "argument"),
    [({"amount": "two"}, "amount"), ({"amount": 1, "more": 2}, None), ([1], None), (b"{", None)],
)
def test_wrong_arguments_are_400_and_name_the_argument(
    host: Host, arguments: object, argument: str | None
) -> None:
    answer = host.call("add", arguments, "wrong")
    assert answer.status == 400
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json["executed"] == "no"
    assert answer.json["title"] == "An argument is wrong"
    assert argument is None or argument in answer.json["argument"]


def test_what_a_plugin_raises_is_500_without_paths_and_keeps_its_state(host: Host) -> None:
    host.call("add", {}, "raises")
    answer = host.call("fail", {"message": "no stock"}, "raises")
    assert answer.status == 500
    assert answer.json["executed"] == "yes"
    assert "ValueError: no stock" in answer.json["detail"]
    assert "/" not in answer.json["detail"]
    assert host.call("add", {}, "raises").json == 2


@pytest.mark.parametrize(
    ("method", "path", "status", "names"),
    [
        ("POST", "/v1/plugins/absent/functions/add", 404, "counter, own"),
        ("POST", "/v1/plugins/counter/functions/absent", 404, "add"),
        ("GET", "/v1/plugins/counter/functions/add", 405, "POST"),
        ("POST", "/v1/contexts/a", 405, "DELETE"),
        ("GET", "/v1/contexts/never-used", 404, "never"),
        ("GET", "/v1/contexts/-bad-", 400, "begin"),
        ("GET", "/absent", 404, "/openapi.json"),
        ("GET", "/", 404, "/openapi.json"),
    ],
)
def test_wrong_paths_say_what_there_is(
    host: Host, method: str, path: str, status: int, names: str
) -> None:
    answer = host.request(method, path)
    assert answer.status == status
    assert names in answer.body.decode()
    assert answer.json["executed"] == "no"


@pytest.mark.parametrize(
    ("header", "value"),
    [
        ("Sandbox-Context", "-x"),
        ("Sandbox-Context", "a" * 129),
        ("Sandbox-Context", ""),
        ("Sandbox-Bind", "always"),
        ("Sandbox-Timeout-Ms", "0"),
        ("Sandbox-Timeout-Ms", "1.5"),
        ("Sandbox-Contxt", "a"),
        ("Sandbox-Forwarded", "1"),
        ("Sandbox-Peer-Sender", "pod-1"),
        ("Content-Encoding", "gzip"),
    ],
)
def test_wrong_headers_are_refused_by_name(host: Host, header: str, value: str) -> None:
    answer = host.request("POST", "/v1/plugins/counter/functions/add", {}, {header: value})
    assert answer.status == 400
    assert header == "Sandbox-Context" or header in answer.json["detail"]


def test_sandbox_bind_existing_never_gets_fresh_state(host: Host) -> None:
    assert host.call("add", {}, "bind", Sandbox_Bind="existing").status == 410
    generation = host.call("add", {}, "bind").generation
    assert host.call("add", {}, "bind", Sandbox_Bind="existing").json == 2
    exact = f"existing; generation={generation}"
    assert host.call("add", {}, "bind", Sandbox_Bind=exact).json == 3
    other = f"existing; generation={generation + 1}"
    assert host.call("add", {}, "bind", Sandbox_Bind=other).status == 410
    host.request("DELETE", "/v1/contexts/bind")
    gone = host.call("add", {}, "bind", Sandbox_Bind=exact)
    assert gone.status == 410
    assert (gone.json["cause"], gone.json["generation"]) == ("Released", generation)


def test_a_context_can_be_made_shown_and_released(host: Host) -> None:
    made = host.request("PUT", "/v1/contexts/order:7", {"deadlineSeconds": 60})
    assert (made.status, made.json["deadlineSeconds"]) == (201, 60)
    again = host.request("PUT", "/v1/contexts/order%3A7", {"deadlineSeconds": 5000})
    assert (again.status, again.json["deadlineSeconds"]) == (200, 1000)
    host.call("add", {}, "order:7")
    host.call("add", {}, "order:7", plugin="own")
    shown = host.request("GET", "/v1/contexts/order:7").json
    assert [each["plugin"] for each in shown["bindings"]] == ["counter", "own"]
    assert 0 <= shown["idleSeconds"] <= shown["ageSeconds"] < shown["deadlineSeconds"]
    assert [each["calls"] for each in shown["bindings"]] == [1, 1]
    assert shown["bindings"][0]["bytes"] is None
    assert shown["bindings"][1]["bytes"] > 1 << 20
    released = host.request("DELETE", "/v1/contexts/order:7").json
    assert [each["plugin"] for each in released["reclaimed"]] == ["own", "counter"]
    assert {each["cause"] for each in released["reclaimed"]} == {"Released"}
    assert host.request("DELETE", "/v1/contexts/order:7").json["reclaimed"] == []
    assert host.request("GET", "/v1/contexts/order:7").status == 404


@pytest.mark.parametrize("body", [b"[]", b'{"deadlineSeconds": 0}', b'{"deadline": 1}', b"x"])
def test_a_wrong_wish_for_a_context_is_refused(host: Host, body: bytes) -> None:
    answer = host.request("PUT", "/v1/contexts/wish", body)
    assert answer.status == 400
    assert "deadlineSeconds" in answer.json["detail"]


def test_a_context_of_a_short_deadline_ends_by_it(host: Host) -> None:
    host.call("add", {}, "short")
    host.request("PUT", "/v1/contexts/short", {"deadlineSeconds": 1})
    host.until(lambda: host.request("GET", "/v1/contexts/short").status == 404)
    assert host.call("add", {}, "short", Sandbox_Bind="existing").json["cause"] == "Deadline"


def test_payloads_beyond_a_frame_travel_whole_and_those_over_the_limit_do_not(host: Host) -> None:
    assert host.call("size", {"text": "x" * 200_000}, "large").json == 200_000
    assert len(host.call("text", {"size": 200_000}, "large").json) == 200_000
    assert host.call("size", {"text": "x" * 300_001}, "large").status == 413
    too_much = host.call("text", {"size": 300_001}, "large")
    assert (too_much.status, too_much.json["executed"]) == (500, "yes")
    assert host.call("add", {}, "large").json == 1


def test_a_streamed_body_is_counted_as_it_comes(host: Host) -> None:
    connection = http.client.HTTPConnection(*host.http)
    path, chunks = "/v1/plugins/counter/functions/size", (b"x" * 50_000 for _ in range(10))
    connection.request("POST", path, chunks, encode_chunked=True)
    answer = connection.getresponse()
    assert answer.status == 413
    connection.close()
    good = iter((b'{"text":', b'"abc"}'))
    connection.request("POST", path, good, encode_chunked=True)
    assert connection.getresponse().read() == b"3"
    connection.close()


@pytest.mark.parametrize(
    ("sent", "seen"),
    [
        (TRACEPARENT, TRACEPARENT),
        (f"cc{TRACEPARENT[2:]}", TRACEPARENT),
        (f"cc{TRACEPARENT[2:]}-what-the-future-will-be-like", TRACEPARENT),
        (f"{TRACEPARENT}-more", ""),
        (f"cc{TRACEPARENT[2:]}.more", ""),
        (f"ff{TRACEPARENT[2:]}", ""),
        (TRACEPARENT.upper(), ""),
        (TRACEPARENT.replace("4bf92f3577b34da6a3ce929d0e0e4736", "0" * 32), ""),
        (TRACEPARENT.replace("00f067aa0ba902b7", "0" * 16), ""),
        ("00-junk", ""),
    ],
)
def test_traceparent_reaches_the_plugin_if_w3c_says_that_it_is_one(
    host: Host, sent: str, seen: str
) -> None:
    assert host.call("trace", {}, "trace", traceparent=sent).json == seen


def test_lines_of_a_traced_call_carry_its_trace(host: Host) -> None:
    trace, span = "a" * 32, "b" * 16
    sent = f"00-{trace}-{span}-01"
    host.call("add", {}, "traced", traceparent=sent)
    host.call("fail", {"message": "4711"}, "traced", traceparent=sent)
    host.until(lambda: len(host.said(trace)) == 3)
    lines = {line["event"]: line for line in host.said(trace)}
    assert set(lines) == {"started", "panic: 4711", "call failed"}
    assert {line["span_id"] for line in lines.values()} == {span}
    assert {line["plugin"] for line in lines.values()} == {"counter"}
    (context,) = {line["context"] for line in lines.values()}
    listed = host.ask("/contexts").json["contexts"]
    assert context in {each["hash"] for each in listed}


def test_connections_are_kept_and_requests_may_be_sent_ahead(host: Host) -> None:
    one = (
        b"POST /v1/plugins/counter/functions/add HTTP/1.1\r\nHost: a\r\n"
        b"Sandbox-Context: ahead\r\nContent-Length: 2\r\n\r\n{}"
    )
    with socket.create_connection(host.http) as client:
        client.sendall(one * 20)
        client.shutdown(socket.SHUT_WR)
        received = b"".join(iter(lambda: client.recv(65536), b""))
    bodies = [
        int(part.rpartition(b"\r\n\r\n")[2]) for part in received.split(b"HTTP/1.1 200 OK")[1:]
    ]
    assert bodies == list(range(1, 21))


def test_callers_at_once_lose_no_call(host: Host) -> None:
    with ThreadPoolExecutor(8) as pool:
        names = [f"many-{number % 5}" for number in range(200)]
        answers = list(pool.map(lambda name: host.call("add", {}, name), names))
    assert {answer.status for answer in answers} == {200}
    assert [host.call("add", {}, f"many-{number}").json for number in range(5)] == [41] * 5


def test_one_context_too_many_is_429_with_a_time_to_come_back(host: Host) -> None:
    answers = [host.call("add", {}, f"room-{number}", plugin="own") for number in range(5)]
    assert answers[-1].status == 429
    assert int(answers[-1].headers["retry-after"]) >= 1
    assert "maxContexts" in answers[-1].json["detail"]
    for number in range(4):
        host.request("DELETE", f"/v1/contexts/room-{number}")
    host.request("DELETE", "/v1/contexts/state-a")
    assert host.call("add", {}, "room-4", plugin="own").status == 200
    host.request("DELETE", "/v1/contexts/room-4")


def test_there_is_a_list_of_plugins_and_a_schema(host: Host) -> None:
    listed = host.request("GET", "/v1/plugins").json["plugins"]
    assert [(each["name"], each["state"]) for each in listed] == [
        ("counter", "Loaded"),
        ("own", "Loaded"),
    ]
    schema = host.request("GET", "/openapi.json").json
    assert schema["openapi"] == "3.1.0"
    operation = schema["paths"]["/v1/plugins/counter/functions/add"]["post"]
    body = operation["requestBody"]["content"]["application/json"]["schema"]
    assert body["properties"]["amount"]["type"] == "integer"
    assert operation["summary"] == "Add to the count, and return it."


def test_the_cluster_finds_what_it_asks_for(host: Host) -> None:
    host.call("add", {}, "secret-customer")
    assert host.ask("/healthz").status == 200
    assert host.ask("/readyz").status == 200
    stats = host_stats.decode(host.ask("/stats").body)
    assert [plugin.state for plugin in stats.plugins] == ["Loaded", "Loaded"]
    assert stats.confinement is not None
    assert stats.confinement.holds
    host.until(lambda: host.ask("/stats").json["samples"])
    sample = host.ask("/stats").json["samples"][-1]
    means, at_its_end = {"concurrency", "queued"}, {"contexts", "calls", "waiting"}
    assert set(sample) == {"time", "requests", "refused", *means, *at_its_end}
    contexts = host.ask("/contexts")
    assert b"secret-customer" not in contexts.body
    assert contexts.json["total"] >= 1
    assert host.request("POST", "/healthz", admin=True).status == 405
    assert host.ask("/absent").status == 404


def test_every_metric_of_the_contract_is_there(host: Host) -> None:
    host.call("add", {}, "counted")
    text = host.ask("/metrics").body.decode()
    families = {line.split()[2] for line in text.splitlines() if line.startswith("# TYPE ")}
    assert families == {f"pluginsandbox_{name}" for name in METRICS}
    assert host.metric("load_duration_seconds_count", plugin="counter", stage="load") == 1
    assert host.metric("bindings", plugin="counter") >= 1


def test_no_ids_of_contexts_are_in_the_log(host: Host) -> None:
    host.call("add", {"amount": 4711}, "confidential-id")
    host.request("DELETE", "/v1/contexts/confidential-id")
    host.until(lambda: host.said("ended by Released at 4711"))
    assert not host.said("confidential-id")
    (line,) = host.said("ended by Released at 4711")
    assert line["plugin"] == "counter"
    assert len(line["context"]) == 16


def test_stats_are_within_what_the_operator_reads(host: Host) -> None:
    body = host.ask("/stats").body
    assert len(body) < host_stats.MAX_BYTES // 2
    assert msgspec.json.decode(body)["version"] == 1
