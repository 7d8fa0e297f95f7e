"""What hosts tell of their load: bounded, checked, and a gap where too few can be read."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web

from pluginsandbox.api.host_stats import HostSample
from pluginsandbox.autoscaler.sample import Sample
from pluginsandbox.controller.load_reader import MOST_ASKED, LoadReader, asked, believed, newest
from tests.unit.controller.worlds import pod

NOW = 1_800_000_000


def second(time: int = NOW, concurrency: int = 2000, **other: int) -> HostSample:
    numbers = {"queued": 0, "requests": 0, "refused": 0, "contexts": 0} | other
    return HostSample(time=time, concurrency=concurrency, **numbers)


def told(**hosts: list[tuple[int, int]]) -> dict[str, list[Sample]]:
    return {
        uid: [Sample(time, concurrency) for time, concurrency in seconds]
        for uid, seconds in hosts.items()
    }


def test_counts_become_thousandths_and_what_waits_is_never_more_than_what_is_there() -> None:
    (found,) = believed([second(requests=3, refused=1, contexts=2, queued=2001)], NOW)
    assert found == Sample(NOW, 2000, 2000, 3000, 1000, 2000)


@pytest.mark.parametrize(
    "lie", [second(NOW + 2), second(requests=10**9), second(concurrency=-1), second(queued=-1)]
)
def test_a_host_that_tells_the_impossible_is_not_believed_at_all(lie: HostSample) -> None:
    assert believed([second(NOW - 1), lie], NOW) == []


def test_hosts_that_were_not_asked_carry_as_much_as_the_others() -> None:
    found = newest(told(a=[(9, 1000)], b=[(9, 3000)]), asked=2, pods=5)
    assert found == Sample(9, 10_000)


def test_the_newest_second_that_half_of_the_hosts_have_counts() -> None:
    hosts = told(a=[(8, 1000), (9, 5000)], b=[(8, 1000)], c=[(8, 1000), (9, 5000)])
    assert newest(hosts, asked=3, pods=3) == Sample(9, 15_000)
    hosts = told(a=[(8, 1000), (9, 5000)], b=[(8, 1000)], c=[(8, 1000)])
    assert newest(hosts, asked=3, pods=3) == Sample(8, 3000)


def test_fewer_than_half_is_a_gap_and_never_zero() -> None:
    assert newest({}, asked=3, pods=3) is None
    assert newest(told(a=[(9, 1000)]), asked=3, pods=3) is None


def test_of_many_hosts_each_has_its_turn() -> None:
    many = [pod("t", f"shop-{number}") for number in range(150)]
    turns = [asked(many, NOW + later) for later in range(3)]
    assert {len(turn) for turn in turns} == {MOST_ASKED}
    names = {each["metadata"]["name"] for turn in turns for each in turn}
    assert len(names) == len(many)


class Host:
    """A host on loopback that says what it is told to."""

    def __init__(self) -> None:
        self.body = b""
        self.hold = 0.0
        self.port = 0

    async def answer(self, _: web.Request) -> web.Response:
        await asyncio.sleep(self.hold)
        return web.Response(body=self.body)


@pytest.fixture
async def host() -> AsyncIterator[Host]:
    made = Host()
    application = web.Application()
    application.router.add_get("/stats", made.answer)
    runner = web.AppRunner(application, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    made.port = runner.addresses[0][1]
    yield made
    await runner.cleanup()


def document(**fields: Any) -> bytes:
    sample = {"time": NOW, "concurrency": 1, "queued": 0, "requests": 0, "refused": 0}
    return json.dumps({"samples": [sample | {"contexts": 0} | fields]}).encode()


@pytest.mark.parametrize(
    ("body", "read"),
    [
        (document(), 1),
        (document(concurrency=-1), 0),
        (document(concurrency=10**30), 0),
        (document(concurrency=float("nan")), 0),
        (document(concurrency=0.5), 0),
        (document(time="now"), 0),
        (b'{"samples": [%s]}' % b",".join([document()[13:-2]] * 121), 0),
        (b"[" * 50_000, 0),
        (b" " * 70_000, 0),
    ],
)
async def test_an_answer_out_of_bounds_is_as_good_as_none(
    host: Host, body: bytes, read: int
) -> None:
    host.body = body
    reader = LoadReader(host.port)
    address = pod("t", status={"podIP": "127.0.0.1"})
    assert len(await reader.read([address], NOW)) == read
    await reader.close()


async def test_a_host_that_hangs_is_not_waited_for(host: Host) -> None:
    host.body, host.hold = document(), 60.0
    reader = LoadReader(host.port)
    async with asyncio.timeout(30):
        assert await reader.read([pod("t", status={"podIP": "127.0.0.1"})], NOW) == {}
    await reader.close()
