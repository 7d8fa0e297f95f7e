"""What kopf is known to do to operators, one test each: ours only has it watch."""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
import threading
from typing import Any

import aiohttp
import pytest

from pluginsandbox.controller import informer, kinds, kopf_watch, reconcile
from pluginsandbox.controller.kopf_settings import ERROR_BACKOFFS, watch_only
from pluginsandbox.controller.kopf_watch import KopfWatch
from tests.chaos.proxy import Proxy
from tests.chaos.rules import Rule
from tests.chaos.upstream import Upstream
from tests.integration.operator import audit
from tests.integration.operator.bed import SANDBOX, Bed, eventually, sandbox, source
from tests.integration.operator.control_plane import ControlPlane

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(120)]


async def up(bed: Bed) -> None:
    await bed.put(source())
    await bed.put(sandbox())
    await bed.until("PluginsLoaded", "True", seconds=60)


async def test_no_index_no_timer_no_daemon_no_change_handler() -> None:
    registry = KopfWatch._registry(_Bare(), asyncio.get_running_loop(), [], [])
    assert len(registry._watching.get_all_handlers()) == 1, "it watches sandboxes"
    for kind in (registry._indexing, registry._spawning, registry._changing, registry._webhooks):
        assert not kind.get_all_handlers()


class _Bare(KopfWatch):
    def __init__(self) -> None:
        """Have nothing: registering needs nothing."""


def test_no_worker_limit_no_posting_no_peering_no_wait_for_versions() -> None:
    settings = watch_only()
    assert settings.queueing.worker_limit is None, "it starves and can deadlock the start"
    assert settings.posting.enabled is False
    assert settings.peering.standalone is True
    assert settings.scanning.disabled is True
    assert settings.persistence.consistency_timeout == 0, "an event may wait for ever otherwise"
    pauses = settings.networking.error_backoffs
    assert isinstance(pauses, tuple)
    assert len(pauses) == len(ERROR_BACKOFFS)
    assert max(pauses) <= 1.5, "21 s asleep after an outage otherwise"


async def test_an_edit_right_after_our_own_write_is_not_starved(bed: Bed) -> None:
    async with bed.operator():
        await up(bed)
        for seconds in range(301, 306):
            await bed.put(sandbox(contexts={"idleTimeoutSeconds": seconds}))
            await bed.until("Reconciling", "True")  # our own write, a moment ago
        await bed.until("Ready", "True", seconds=60)
        live = await bed.get(kinds.DEPLOYMENT)
        body = await bed.get(kinds.SANDBOX)
        assert body is not None
        assert live is not None
        assert body["status"]["observedGeneration"] == body["metadata"]["generation"]


async def test_nothing_of_ours_is_written_beside_the_status_and_nobody_waits_for_us(
    bed: Bed,
) -> None:
    async with bed.operator():
        await up(bed)
        body = await bed.get(kinds.SANDBOX)
        assert body is not None
        metadata = body["metadata"]
        assert not metadata.get("finalizers")
        assert not metadata.get("annotations")
        ours = [
            each
            for each in metadata["managedFields"]
            if each["manager"] == kinds.FIELD_MANAGER or "kopf" in each["manager"]
        ]
        assert {each["subresource"] for each in ours} == {"status"}
        assert not any("kopf" in str(each) for each in await bed.find(kinds.EVENT, ""))
    await bed.drop(kinds.SANDBOX)
    assert await bed.get(kinds.SANDBOX) is None, "no finalizer waits for an operator"


async def test_an_error_that_ends_kopf_does_not_end_us(
    bed: Bed, proxy: Proxy, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.CRITICAL, "kopf")
    async with bed.operator(kubeconfig=proxy.kubeconfig) as operator:
        await up(bed)
        watches = _watches(proxy)
        proxy.script.add(Rule(act="fail", verb="watch", kind=kinds.SANDBOX.plural))

        async def again() -> bool:
            return _watches(proxy) > watches

        await eventually("kopf's next life", again, seconds=60)
        await bed.put(sandbox(operatingMode="Suspended"))
        await bed.until("Ready", "True", "Suspended", seconds=60)
        assert operator.lease.held


async def test_a_server_that_does_not_end_its_tls_leaves_no_connection_open(
    upstream: Upstream,
) -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    threading.Thread(target=_serve_and_say_no_more, args=(listener, upstream.tls)).start()
    sockets: list[socket.socket] = []

    def opened(address: aiohttp.AddrInfoType) -> socket.socket:
        sockets.append(socket.socket(*address[:3]))
        return sockets[-1]

    context = ssl.create_default_context(cafile=upstream.certificate)
    connector = aiohttp.TCPConnector(ssl=context, socket_factory=opened)
    async with aiohttp.ClientSession(connector=connector) as session:
        url = f"https://127.0.0.1:{listener.getsockname()[1]}/"
        async with session.get(url) as answer:
            assert await answer.content.readany() == b"ab"
    assert [each.fileno() >= 0 for each in sockets] == [True], "aiohttp alone waits for its word"
    await kopf_watch._closed(sockets)
    assert [each.fileno() for each in sockets] == [-1]


def _serve_and_say_no_more(listener: socket.socket, context: ssl.SSLContext) -> None:
    with listener, context.wrap_socket(listener.accept()[0], server_side=True) as connection:
        connection.recv(4096)
        connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n")
        with socket.socket(fileno=connection.detach()) as bare:
            while bare.recv(4096):
                """Leave the other side's good-bye unanswered."""


def _watches(proxy: Proxy) -> int:
    return sum(each.what == f"watch {kinds.SANDBOX.plural}" for each in proxy.record)


async def test_at_rest_nothing_is_written_however_often_all_is_looked_at(
    bed: Bed, plane: ControlPlane, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reconcile, "RESYNC_SECONDS", 0.5)
    monkeypatch.setattr(informer, "RELIST_SECONDS", 0.5)
    names = [f"{SANDBOX}-{number}" for number in range(8)]
    async with bed.operator() as operator:
        await bed.put(source())
        for name in names:
            await bed.put(sandbox(name=name))
        for name in names:

            async def settled(name: str = name) -> bool:
                return (await bed.condition("PluginsLoaded", name))[0] == "True"

            await eventually(f"{name} at rest", settled, seconds=60)
        before = await _still(bed, plane)
        looked = _reconciles(operator)

        async def looked_often() -> bool:
            return _reconciles(operator) >= looked + 5 * len(names)

        await eventually("five more looks at each", looked_often, seconds=60)
        assert len(audit.writes(plane.audit_log, bed.namespace)) == before
    assert threading.active_count() < 40, "stopped operators leave no threads"


async def _still(bed: Bed, plane: ControlPlane) -> int:
    """Return the number of writes once it has not grown for 2 s."""
    number = -1
    while number != (now := len(audit.writes(plane.audit_log, bed.namespace))):
        number = now
        await asyncio.sleep(2)
    return number


def _reconciles(operator: Any) -> float:
    counter = operator.metrics.reconcile_duration.labels("success")
    return sum(float(bucket.get()) for bucket in counter._buckets)
