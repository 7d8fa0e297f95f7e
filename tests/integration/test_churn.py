"""What comes and goes leaves nothing behind: the short form of `make churn`."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Iterator
from pathlib import Path

from pluginsandbox.api.host_config import HostConfig
from pluginsandbox.host import server
from pluginsandbox.host.assembly import Host
from pluginsandbox.host.server import Listening
from pluginsandbox.host.shutdown import Stop
from tests.churn import churn, curve, live, load
from tests.integration.host_bed import SECONDS, plugin
from tests.unit.host.fake_runtime import FakeRuntime, config

BINDS, WORKERS, LIVE = 30_000, 200, 10_000


def test_thirty_thousand_contexts_come_and_go_and_leave_nothing(tmp_path: Path) -> None:
    report = churn.run(tmp_path, BINDS, WORKERS)
    assert report.reclaims == report.binds == BINDS + WORKERS
    start, end = report.start, report.end
    assert (end.children, end.zombies, end.files) == (start.children, 0, start.files)
    # A worker that was on its way out at the start may have held one more.
    assert end.descriptors <= start.descriptors
    assert end.host < start.host * 1.05
    assert end.worker < start.worker * 1.05
    assert curve.draw(report.curve).count("<polyline") == 2


def test_a_live_context_costs_the_host_less_than_a_kibibyte(tmp_path: Path) -> None:
    assert live.run(tmp_path, LIVE).host < 1024


async def test_the_times_of_all_contexts_wait_on_one_timer_of_the_loop() -> None:
    loop = asyncio.get_running_loop()
    before = len(loop._scheduled)  # type: ignore[attr-defined]  # of asyncio's own loop
    host = Host(config(), FakeRuntime(), loop.time)
    alarm = host.turn(loop)
    for number in range(1000):
        host.invoker.open_context("", f"order-{number}", loop.time() - number)
    waiting = [timer for timer in loop._scheduled if not timer.cancelled()]  # type: ignore[attr-defined]
    assert (len(host.wheel), len(waiting)) == (1000, before + 1)
    alarm.stop()


async def test_what_is_over_does_not_wait_for_the_garbage_collector(tmp_path: Path) -> None:
    own = plugin(tmp_path, churn.OWN, churn.COUNTER, isolation="PerContext", max_contexts=64)
    ready, stop = asyncio.Event(), Stop()
    opened: asyncio.Future[Listening] = asyncio.get_running_loop().create_future()
    serving = asyncio.create_task(
        server.serve(
            HostConfig("default", "shop", (own, plugin(tmp_path, churn.SHARED, churn.COUNTER))),
            http=("127.0.0.1", 0),
            admin=("127.0.0.1", 0),
            ready=ready.set,
            listening=opened.set_result,
            stop=stop,
        )
    )

    def requests(first: int, count: int) -> Iterator[bytes]:
        for _ in range(count):
            yield load.fresh(churn.OWN)
        yield from load.mixed(churn.SHARED, first, count)

    try:
        async with asyncio.timeout(SECONDS):
            await ready.wait()
            gc.collect()
            gc.disable()
            gc.set_debug(gc.DEBUG_SAVEALL)
            await load.send((await opened).http, load.spread(requests, 0, 64))
            gc.collect()
            ours = [
                each for each in gc.garbage if type(each).__module__.startswith("pluginsandbox.")
            ]
        assert ours == []
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()
        stop.ask_at_once()
        await serving
