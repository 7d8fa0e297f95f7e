"""The door to the API server: what is sent, how often, and what an answer becomes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
import yaml
from aiohttp import web
from hypothesis import example, given
from hypothesis import strategies as st
from kubernetes.aio.client import ApiClient, Configuration

from pluginsandbox.controller import cluster as door
from pluginsandbox.controller.cluster import APPLY, Cluster, encoded
from pluginsandbox.controller.errors import (
    NotLeaderError,
    PermanentError,
    ProgrammerError,
    RetryError,
)
from pluginsandbox.controller.kinds import CONFIG_MAP, EVENT, SANDBOX
from pluginsandbox.telemetry.operator_metrics import OperatorMetrics

MANIFEST = {"metadata": {"namespace": "team", "name": "a b"}, "data": {}}


class Server:
    """An API server that gives the answers it is told, one after the other; the last for ever."""

    def __init__(self) -> None:
        self.answers: list[tuple[int, Any, dict[str, str]]] = [(200, {}, {})]
        self.seen: list[tuple[str, str, dict[str, str], Any]] = []
        self.delay = 0.0

    def say(self, status: int, body: Any = None, **headers: str) -> None:
        self.answers = [(status, body or {}, headers), *self.answers]

    async def answer(self, request: web.Request) -> web.Response:
        body = await request.text()
        told = json.loads(body) if body else None
        self.seen.append((request.method, request.raw_path, dict(request.headers), told))
        await asyncio.sleep(self.delay)
        status, answer, headers = self.answers[0] if len(self.answers) == 1 else self.answers.pop(0)
        data = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        return web.Response(status=status, body=data, headers=headers)


@pytest.fixture
async def server() -> Server:
    return Server()


@pytest.fixture
async def metrics() -> OperatorMetrics:
    return OperatorMetrics()


@pytest.fixture
async def cluster(
    server: Server, metrics: OperatorMetrics, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Cluster]:
    monkeypatch.setattr(door, "RETRY_SECONDS", 0.01)
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", server.answer)
    runner = web.AppRunner(application, shutdown_timeout=1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    configuration = Configuration(host=f"http://127.0.0.1:{runner.addresses[0][1]}")
    made = Cluster(ApiClient(configuration), metrics)
    yield made
    await made.close()
    await runner.cleanup()


async def test_apply_is_server_side_by_our_field_manager(cluster: Cluster, server: Server) -> None:
    await cluster.apply(CONFIG_MAP, MANIFEST)
    ((method, path, headers, body),) = server.seen
    assert method == "PATCH"
    assert path == (
        "/api/v1/namespaces/team/configmaps/a%20b?fieldManager=pluginsandbox-operator&force=true"
    )
    assert headers["Content-Type"] == "application/apply-patch+yaml"
    assert body == MANIFEST


async def test_a_status_is_merged_into_the_version_that_was_seen(
    cluster: Cluster, server: Server
) -> None:
    await cluster.patch_status(SANDBOX, "team", "shop", {"replicas": 1}, "42")
    ((_, path, headers, body),) = server.seen
    assert path.startswith(
        "/apis/pluginsandbox.dev/v1alpha1/namespaces/team/pluginsandboxes/shop/status?"
    )
    assert headers["Content-Type"] == "application/merge-patch+json"
    assert body == {"metadata": {"resourceVersion": "42"}, "status": {"replicas": 1}}


@pytest.mark.parametrize("status", [429, 500, 503, 504])
async def test_a_busy_server_is_asked_again(cluster: Cluster, server: Server, status: int) -> None:
    server.say(status)
    await cluster.apply(CONFIG_MAP, MANIFEST)
    assert len(server.seen) == 2


async def test_a_server_is_asked_three_times_at_most(cluster: Cluster, server: Server) -> None:
    server.answers = [(503, {"message": "later"}, {})]
    with pytest.raises(RetryError, match="later"):
        await cluster.get(CONFIG_MAP, "team", "a")
    assert len(server.seen) == door.ATTEMPTS


async def test_a_long_wait_is_left_to_the_queue(cluster: Cluster, server: Server) -> None:
    server.answers = [(429, {}, {"Retry-After": "30"})]
    with pytest.raises(RetryError) as caught:
        await cluster.apply(CONFIG_MAP, MANIFEST)
    assert caught.value.after == 30
    assert len(server.seen) == 1


async def test_the_server_may_say_the_wait_in_its_status(cluster: Cluster, server: Server) -> None:
    server.answers = [(429, {"details": {"retryAfterSeconds": 7}}, {})]
    with pytest.raises(RetryError) as caught:
        await cluster.get(CONFIG_MAP, "team", "a")
    assert caught.value.after == 7


async def test_a_conflict_is_not_tried_again_here(cluster: Cluster, server: Server) -> None:
    server.answers = [(409, {"message": "modified"}, {})]
    with pytest.raises(RetryError) as caught:
        await cluster.patch_status(SANDBOX, "team", "shop", {}, "1")
    assert caught.value.code == 409
    assert len(server.seen) == 1


async def test_a_creation_is_sent_once(cluster: Cluster, server: Server) -> None:
    server.answers = [(500, {}, {})]
    with pytest.raises(RetryError):
        await cluster.create(EVENT, {"metadata": {"namespace": "team"}})
    assert len(server.seen) == 1


@pytest.mark.parametrize(
    ("status", "message", "expected"),
    [
        (403, "forbidden: exceeded quota", PermanentError),
        (422, "is invalid", PermanentError),
        (404, "not found", PermanentError),
        (400, 'admission webhook "w" denied the request', PermanentError),
        (400, "cannot decode", ProgrammerError),
        (415, "unsupported media type", ProgrammerError),
    ],
)
async def test_errors_are_named_by_what_to_do(
    cluster: Cluster, server: Server, status: int, message: str, expected: type[Exception]
) -> None:
    server.answers = [(status, {"message": message}, {})]
    with pytest.raises(expected, match=message.split(":", maxsplit=1)[0]):
        await cluster.apply(CONFIG_MAP, MANIFEST)
    assert len(server.seen) == 1


async def test_what_is_not_there_is_none(cluster: Cluster, server: Server) -> None:
    server.answers = [(404, {}, {})]
    assert await cluster.get(CONFIG_MAP, "team", "a") is None
    assert not await cluster.serves(SANDBOX)


async def test_an_answer_that_is_no_json_is_quoted(cluster: Cluster, server: Server) -> None:
    server.answers = [(502, b"<html>bad gateway</html>", {})]
    with pytest.raises(RetryError, match="bad gateway"):
        await cluster.get(CONFIG_MAP, "team", "a")


async def test_a_server_that_is_not_there_is_for_later(
    metrics: OperatorMetrics, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(door, "RETRY_SECONDS", 0.0)
    nobody = Cluster(ApiClient(Configuration(host="http://127.0.0.1:1")), metrics)
    with pytest.raises(RetryError, match="did not answer"):
        await nobody.get(CONFIG_MAP, "team", "a")
    await nobody.close()


async def test_lists_come_in_pages(cluster: Cluster, server: Server) -> None:
    server.answers = [
        (200, {"items": [{"n": 1}], "metadata": {"continue": "next"}}, {}),
        (200, {"items": [{"n": 2}], "metadata": {}}, {}),
    ]
    assert await cluster.list(CONFIG_MAP, None, "a=b") == [{"n": 1}, {"n": 2}]
    first, second = (path for _, path, _, _ in server.seen)
    assert first == "/api/v1/configmaps?limit=200&labelSelector=a%3Db"
    assert second.endswith("&continue=next")


async def test_deleting_names_the_object_that_was_seen_and_its_absence_is_success(
    cluster: Cluster, server: Server
) -> None:
    body = {"metadata": {"namespace": "team", "name": "a", "uid": "u"}}
    for status in (200, 404, 409):
        server.answers = [(status, {}, {})]
        await cluster.delete(CONFIG_MAP, body)
    assert server.seen[0][3]["preconditions"] == {"uid": "u"}
    server.answers = [(403, {}, {})]
    with pytest.raises(PermanentError):
        await cluster.delete(CONFIG_MAP, body)


async def test_no_write_starts_without_the_lease_but_reads_do(
    cluster: Cluster, server: Server
) -> None:
    def closed() -> None:
        raise NotLeaderError("not leading")

    cluster._gate = closed
    for write in (
        cluster.apply(CONFIG_MAP, MANIFEST),
        cluster.create(EVENT, {"metadata": {"namespace": "team"}}),
        cluster.delete(CONFIG_MAP, {"metadata": {"namespace": "team", "name": "a", "uid": "u"}}),
        cluster.patch_status(SANDBOX, "team", "shop", {}, "1"),
    ):
        with pytest.raises(NotLeaderError):
            await write
    assert not server.seen
    await cluster.get(CONFIG_MAP, "team", "a")
    assert len(server.seen) == 1


async def test_a_lease_that_ends_between_two_attempts_ends_them(
    cluster: Cluster, server: Server
) -> None:
    server.answers = [(500, {}, {})]
    left = [1]

    def gate() -> None:
        if not left:
            raise NotLeaderError("not leading")
        left.pop()

    cluster._gate = gate
    with pytest.raises(NotLeaderError):
        await cluster.apply(CONFIG_MAP, MANIFEST)
    assert len(server.seen) == 1


async def test_writes_are_counted_by_kind_and_verb(
    cluster: Cluster, metrics: OperatorMetrics
) -> None:
    await cluster.apply(CONFIG_MAP, MANIFEST)
    await cluster.get(CONFIG_MAP, "team", "a")
    labels = {"kind": "ConfigMap", "verb": "apply"}
    assert metrics.registry.get_sample_value("pluginsandbox_writes_total", labels) == 1


@given(st.dictionaries(st.text(), st.text(), max_size=3))
@example({"a.py": "\x7f\x80\x85\x9f\u2028\u2029\ufeff\ufffe\uffff\U0001f600\U0001ffff"})
def test_what_is_applied_reads_the_same_as_yaml(data: dict[str, str]) -> None:
    assert yaml.safe_load(encoded({"data": data}, APPLY)) == {"data": data}
