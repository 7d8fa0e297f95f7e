"""No call fails, and no acknowledged durable change is lost, while pods come and leave politely.

`PEERS_CALLS=60000` makes the load of the long form; the short one is a few thousand calls.
"""

from __future__ import annotations

import asyncio
import os
import signal
import time
from pathlib import Path

from tests.integration.group_bed import Load, Sandbox, sandbox

CALLS = int(os.environ.get("PEERS_CALLS", "3000"))
PODS = 3
CALLERS = 12
CONTEXTS = 240
SECONDS = 600.0


async def roll(group: Sandbox, load: Load) -> None:
    """Replace every pod by a new one, one after the other, as a Deployment's roll-out does."""
    for old in list(group.pods.values()):
        new = await asyncio.to_thread(group.start)
        load.targets.append(new.host.http)
        load.targets.remove(old.host.http)
        old.host.process.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(old.host.process.wait, SECONDS) == 0
        for words in ("could not be given away in time", "a context was not taken"):
            load.not_given += [str(line) for line in old.host.said(words)]
        group.drop(old)


async def drive(group: Sandbox, load: Load) -> float:
    """Roll under load until there were calls enough; return the seconds that it took."""
    started = time.monotonic()
    callers = [
        asyncio.create_task(load.call(number, CALLERS, "ledger")) for number in range(CALLERS)
    ]
    try:
        await roll(group, load)
        while load.answers.total() < CALLS and time.monotonic() < started + SECONDS:
            await roll(group, load)
    finally:
        load.over = True
    await asyncio.wait_for(asyncio.gather(*callers), 60)
    return time.monotonic() - started


def test_a_rolling_restart_fails_no_call_and_loses_no_durable_state(tmp_path: Path) -> None:
    with sandbox(tmp_path, termination_grace_seconds=20) as group:
        for _ in range(PODS):
            group.start()
        group.agree()
        targets = [pod.host.http for pod in group.pods.values()]
        load = Load(targets, [f"merchant-{number}" for number in range(CONTEXTS)])
        seconds = asyncio.run(drive(group, load))
        print(f"calls={load.answers.total()} seconds={seconds:.1f} failures={len(load.failures)}")
        assert load.failures == []
        assert load.not_given == [], "a pod's grace was too short for this machine"
        assert load.lost == []
        assert set(load.answers) == {200}
        assert load.answers.total() >= CALLS
        assert len(load.totals) == CONTEXTS


def test_pods_that_come_under_load_move_no_context(tmp_path: Path) -> None:
    async def grow(group: Sandbox, load: Load) -> None:
        callers = [asyncio.create_task(load.call(number, 4, "counter")) for number in range(4)]
        try:
            for _ in range(3):
                pod = await asyncio.to_thread(group.start)
                load.targets.append(pod.host.http)
            await asyncio.to_thread(group.agree)
            until = load.answers.total() + 200
            while load.answers.total() < until:  # noqa: ASYNC110 - callers are not told of each other
                await asyncio.sleep(0.01)
        finally:
            load.over = True
        await asyncio.wait_for(asyncio.gather(*callers), 60)

    with sandbox(tmp_path) as group:
        first = group.start()
        load = Load([first.host.http], [f"c{number}" for number in range(80)])
        asyncio.run(grow(group, load))
        assert load.failures == []
        held = [pod.host.ask("/contexts").json["total"] for pod in group.pods.values()]
        assert sum(held) == len(load.totals)
        counted = sum(load.totals.values())
        assert counted == load.answers.total(), "a context was bound twice, or lost"
