"""Reading what hosts tell: bounded, checked, and asked ever more rarely when it fails."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web

from pluginsandbox.api import host_stats
from pluginsandbox.controller import stats_door
from pluginsandbox.controller.hosts import (
    AT_ONCE,
    FIRST_PAUSE_SECONDS,
    FRESH_SECONDS,
    MOST_ASKED,
    UNREADY_FRESH_SECONDS,
    Hosts,
)
from tests.unit.controller.worlds import KEY, pod

GOOD = b'{"plugins": [{"name": "counter", "state": "Loaded", "new": 1}], "later": {}}'


class Host:
    """A host on loopback that says what it is told to."""

    def __init__(self) -> None:
        self.body = GOOD
        self.status = 200
        self.headers: dict[str, str] = {}
        self.asked = 0
        self.port = 0
        self.inside = 0
        self.most_inside = 0
        self.hold = 0.0

    async def answer(self, _: web.Request) -> web.Response:
        self.asked += 1
        self.inside += 1
        self.most_inside = max(self.most_inside, self.inside)
        await asyncio.sleep(self.hold)
        self.inside -= 1
        return web.Response(body=self.body, status=self.status, headers=self.headers)


@pytest.fixture
async def host() -> AsyncIterator[Host]:
    made = Host()
    application = web.Application()
    application.router.add_get("/stats", made.answer)
    runner = web.AppRunner(application, shutdown_timeout=1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    made.port = runner.addresses[0][1]
    yield made
    await runner.cleanup()


@pytest.fixture
async def clock() -> list[float]:
    return [1000.0]


@pytest.fixture
async def hosts(host: Host, clock: list[float]) -> AsyncIterator[Hosts]:
    made = Hosts(lambda: clock[0], port=host.port)
    yield made
    await made.close()


def local(
    name: str = "shop-1", *, ready: bool = True, restarts: int = 0
) -> tuple[dict[str, Any], bool]:
    container = {"name": "host", "ready": ready, "restartCount": restarts}
    status = {"podIP": "127.0.0.1", "containerStatuses": [container]}
    return pod("t", name, ready=ready, status=status), ready


async def test_what_is_known_is_not_asked_again_until_it_is_old(
    host: Host, hosts: Hosts, clock: list[float]
) -> None:
    for _ in range(3):
        told = await hosts.read(KEY, [local()])
    assert told["u-shop-1"].plugins[0].state == "Loaded"
    assert host.asked == 1
    clock[0] += FRESH_SECONDS
    await hosts.read(KEY, [local()])
    assert host.asked == 2


async def test_a_change_of_the_pod_asks_at_once_and_an_unready_one_is_asked_more_often(
    host: Host, hosts: Hosts, clock: list[float]
) -> None:
    await hosts.read(KEY, [local(ready=False)])
    clock[0] += UNREADY_FRESH_SECONDS
    await hosts.read(KEY, [local(ready=False)])
    await hosts.read(KEY, [local(ready=True)])
    await hosts.read(KEY, [local(ready=True, restarts=1)])
    assert host.asked == 4


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"nonsense",
        b"[]",
        b'{"plugins": [{"name": "x"}]}',
        b'{"plugins": [{"name": "x", "state": "Great"}]}',
        b'{"plugins": [{"name": "%s", "state": "Loaded"}]}' % (b"x" * 200),
        b" " * (host_stats.MAX_BYTES + 1),
        b"[" * 50_000,
    ],
)
async def test_what_does_not_fit_the_schema_is_not_believed(
    host: Host, hosts: Hosts, body: bytes
) -> None:
    host.body = body
    assert await hosts.read(KEY, [local()]) == {}


async def test_a_redirect_is_not_followed(host: Host, hosts: Hosts) -> None:
    host.status, host.headers = 302, {"Location": f"http://127.0.0.1:{host.port}/stats"}
    assert await hosts.read(KEY, [local()]) == {}
    assert host.asked == 1


async def test_what_was_read_is_believed_for_30_s_while_the_host_fails(
    host: Host, hosts: Hosts, clock: list[float]
) -> None:
    told, host.body = host.body, b"nonsense"
    assert await hosts.read(KEY, [local()]) == {}, "nothing was read yet"
    host.body = told
    clock[0] += FIRST_PAUSE_SECONDS
    await hosts.read(KEY, [local()])
    assert not hosts.failing(KEY)
    host.body = b"nonsense"
    clock[0] += 4 * FRESH_SECONDS
    assert await hosts.read(KEY, [local()]), "it may have been busy"
    assert hosts.failing(KEY)
    clock[0] += FRESH_SECONDS
    assert await hosts.read(KEY, [local()])
    clock[0] += 0.1
    assert await hosts.read(KEY, [local()]) == {}


async def test_a_host_that_fails_is_asked_ever_more_rarely(
    host: Host, hosts: Hosts, clock: list[float]
) -> None:
    host.body = b"nonsense"
    await hosts.read(KEY, [local()])
    await hosts.read(KEY, [local()])
    assert host.asked == 1
    clock[0] += FIRST_PAUSE_SECONDS
    await hosts.read(KEY, [local()])
    assert host.asked == 2
    clock[0] += FIRST_PAUSE_SECONDS
    await hosts.read(KEY, [local()])
    assert host.asked == 2


async def test_a_host_that_does_not_listen_is_absent(hosts: Hosts, host: Host) -> None:
    unheard = Hosts(lambda: 0.0, port=1)
    assert await unheard.read(KEY, [local()]) == {}
    await unheard.close()
    assert host.asked == 0
    assert hosts is not unheard


async def test_of_many_hosts_a_few_are_asked_at_once_and_the_rest_come_next(
    host: Host, hosts: Hosts, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A busy machine may be slow to accept so many.
    monkeypatch.setattr(stats_door, "CONNECT_SECONDS", 60)
    hosts._door = stats_door.StatsDoor(host.port, seconds=60)
    host.hold = 0.01
    many = [local(f"shop-{number}") for number in range(MOST_ASKED + 10)]
    assert len(await hosts.read(KEY, many)) == MOST_ASKED
    assert len(await hosts.read(KEY, many)) == len(many)
    assert host.asked == len(many), "nobody is asked twice"
    assert 1 < host.most_inside <= AT_ONCE


async def test_pods_that_are_gone_are_forgotten(hosts: Hosts) -> None:
    await hosts.read(KEY, [local()])
    await hosts.read(KEY, [])
    assert hosts._hosts == {KEY: {}}
    hosts.forget(KEY)
    assert hosts._hosts == {}
