"""`pluginsandbox.sdk.Client` by a real host: calls, errors by what to do, contexts that end."""

from __future__ import annotations

import gc
import socket
import subprocess
import sys
import threading
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from pluginsandbox.sdk import Client
from pluginsandbox.sdk.client_errors import (
    BindingGoneError,
    PluginFailedError,
    RefusedError,
    TryAgainError,
    UncertainError,
)
from tests.integration.host_bed import SECONDS, Host, plugin, running

FINALIZED = {"plugin": "counter", "cause": "Finalized"}


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    folder = tmp_path_factory.mktemp("host")
    own = plugin(folder, "own", isolation="PerContext", max_contexts=1)
    with running(folder, plugin(folder), own) as host:
        yield host


@pytest.fixture
def client(host: Host) -> Iterator[Client]:
    with Client("http://{}:{}".format(*host.http), timeout_seconds=SECONDS) as client:
        yield client


def test_a_handle_keeps_state_and_gives_it_back_when_it_is_closed(
    host: Host, client: Client
) -> None:
    with client.open_context() as ours, client.open_context() as other:
        assert [ours.call("counter", "add", amount=n) for n in (2, 3)] == [2, 5]
        assert other.call("counter", "add") == 1
        assert client.call("counter", "add", context=ours.id, existing=True) == 6
    assert host.request("GET", f"/v1/contexts/{ours.id}").status == 404
    with pytest.raises(BindingGoneError) as gone:
        client.call("counter", "add", context=ours.id, existing=True)
    assert (gone.value.status, gone.value.cause) == (410, "Released")
    with pytest.raises(ValueError, match="closed"):
        ours.call("counter", "add")
    ours.close()


def test_without_a_context_nothing_is_kept(client: Client) -> None:
    assert [client.call("counter", "add", {"amount": 7}) for _ in range(2)] == [7, 7]


def test_errors_say_what_to_do(host: Host, client: Client) -> None:
    with client.open_context() as ours:
        with pytest.raises(RefusedError) as refused:
            ours.call("counter", "add", amount="two")
        assert (refused.value.argument, refused.value.status) == ("amount", 400)
        with pytest.raises(RefusedError, match="no function 'subtract'"):
            ours.call("counter", "subtract")
        with pytest.raises(PluginFailedError, match="no luck") as failed:
            ours.call("counter", "fail", message="no luck")
        assert (failed.value.exception, failed.value.kind) == ("ValueError", "raised")
        with pytest.raises(UncertainError, match="did not return within"):
            client.call("counter", "sleep", {"seconds": 5}, timeout_seconds=0.5)
        with pytest.raises(UncertainError) as uncertain:
            ours.call("counter", "fall")
        assert uncertain.value.status == 502
    with client.open_context() as first, client.open_context() as second:
        first.call("own", "add")
        with pytest.raises(TryAgainError, match="maxContexts") as full:
            second.call("own", "add")
        assert full.value.retry_after == 1
    host.until(lambda: host.metric("bindings", plugin="own") == 0)


def test_a_sandbox_that_is_not_there_can_be_tried_again() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        client = Client(f"http://127.0.0.1:{taken.getsockname()[1]}")
        with pytest.raises(TryAgainError, match="cannot reach"):
            client.call("counter", "add")
        # Whatever ended the block is what its caller hears of.
        with pytest.raises(RuntimeError, match="ours"), client.open_context():
            raise RuntimeError("ours")


def test_a_handle_that_is_collected_unclosed_is_released_and_told_at_both_ends(
    host: Host, client: Client
) -> None:
    before = host.metric("reclaims_total", **FINALIZED)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        handle = client.open_context()
        name = handle.id
        handle.call("counter", "add", amount=20)
        cycle = [handle]
        cycle.append(cycle)  # type: ignore[arg-type]  # only the collector can take it
        del handle, cycle
        gc.collect()
        host.until(lambda: host.metric("reclaims_total", **FINALIZED) == before + 1)
    assert host.metric("reclaim_duration_seconds_count", **FINALIZED) == before + 1
    assert host.metric("reclaimed_bytes_total", kind="reported", **FINALIZED) > 0
    host.until(lambda: host.said("without closing it"))
    line = host.said("without closing it")[-1]
    assert (line["level"], line["plugin"], len(line["context"])) == ("warning", "counter", 16)
    assert not host.said(name)
    (warned,) = [each for each in caught if each.category is ResourceWarning]
    assert (warned.filename, name in str(warned.message)) == (__file__, True)


def test_a_leaked_handle_takes_no_context_from_another_handle_of_it(
    host: Host, client: Client
) -> None:
    before = host.metric("reclaims_total", **FINALIZED)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        kept = client.open_context("shared-by-two")
        kept.call("counter", "add")
        client.open_context("shared-by-two").call("counter", "add")
        client.open_context("leaked-after").call("counter", "add")
        gc.collect()
        host.until(lambda: host.metric("reclaims_total", **FINALIZED) == before + 1)
    assert kept.call("counter", "add") == 3
    kept.close()


LEAVING = """
import sys
from pluginsandbox.sdk import Client
handle = Client(sys.argv[1]).open_context()
print(handle.call("counter", "add"))
"""


def test_a_process_that_ends_with_an_open_handle_releases_its_context(host: Host) -> None:
    before = host.metric("reclaims_total", **FINALIZED)
    url = "http://{}:{}".format(*host.http)
    command = [sys.executable, "-W", "default", "-c", LEAVING, url]
    left = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=True)
    assert left.stdout == "1\n"
    assert "ResourceWarning" in left.stderr
    host.until(lambda: host.metric("reclaims_total", **FINALIZED) == before + 1)


def test_collecting_a_handle_waits_for_nobody() -> None:
    collected = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:
        client = Client(f"http://127.0.0.1:{server.getsockname()[1]}")
        asked: list[bytes] = []

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                asked.append(connection.recv(4096))
                assert collected.wait(SECONDS)
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")

        thread = threading.Thread(target=serve)
        thread.start()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            client.open_context("slow-to-go")
            gc.collect()
            collected.set()  # reached although the sandbox does not answer before
            thread.join(SECONDS)
    assert asked[0].startswith(b"DELETE /v1/contexts/slow-to-go?cause=Finalized HTTP/1.1\r\n")


def test_a_connection_that_the_sandbox_closed_is_not_used_again() -> None:
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n7"
    with socket.create_server(("127.0.0.1", 0)) as server:
        closed = threading.Semaphore(0)

        def serve() -> None:
            for _ in range(2):
                connection, _ = server.accept()
                with connection:
                    connection.recv(4096)
                    connection.sendall(answer)
                closed.release()

        thread = threading.Thread(target=serve)
        thread.start()
        with Client(f"http://127.0.0.1:{server.getsockname()[1]}") as client:
            for _ in range(2):
                assert client.call("counter", "add") == 7
                assert closed.acquire(timeout=SECONDS)
        thread.join(SECONDS)


def test_threads_share_a_client(host: Host, client: Client) -> None:
    with client.open_context() as ours, ThreadPoolExecutor(8) as pool:
        counts = list(pool.map(lambda _: ours.call("counter", "add"), range(200)))
        assert sorted(counts) == list(range(1, 201))


@pytest.mark.parametrize(
    "query", ["cause=Crashed", "cause=finalized", "cause", "why=Released", "x"]
)
def test_a_caller_cannot_give_a_cause_that_is_the_hosts(host: Host, query: str) -> None:
    refused = host.request("DELETE", f"/v1/contexts/somebody?{query}")
    assert (refused.status, refused.json["executed"]) == (400, "no")
    assert "cause=Released or cause=Finalized" in refused.json["detail"]
