"""Reads the last seconds of a sandbox from its hosts, once a second, for the autoscaler.

Of many hosts some are asked, in turns; what one tells must be possible, and none is waited for
longer than there is time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

from pluginsandbox.api import host_stats
from pluginsandbox.api.host_stats import HostSample
from pluginsandbox.autoscaler.numbers import MILLI
from pluginsandbox.autoscaler.sample import Sample, SampleError, credible, together
from pluginsandbox.controller.children.common import ADMIN_PORT
from pluginsandbox.controller.stats_door import StatsDoor, UnreadableError
from pluginsandbox.controller.trim import Body

SECONDS = 0.8
"""In which an answer must be there: the next second has a sample of its own."""
MOST_ASKED = 64
"""Hosts of a sandbox that are asked in one second."""
CONNECTIONS = 1024

Told = Mapping[str, Sequence[Sample]]


class LoadReader:
    """Asks hosts.

    Args:
        port: Where they answer.

    """

    def __init__(self, port: int = ADMIN_PORT) -> None:
        self._door = StatsDoor(port, SECONDS, CONNECTIONS)

    async def read(self, pods: Sequence[Body], now: int) -> Told:
        """Return what the hosts of some pods kept, oldest first, by the pod's uid.

        Args:
            pods: That have an address.
            now: Unix time in seconds.

        """
        told = await asyncio.gather(*(self._ask(pod, now) for pod in pods))
        return {uid: samples for uid, samples in told if samples}

    async def close(self) -> None:
        """Close the connections."""
        await self._door.close()

    async def _ask(self, pod: Body, now: int) -> tuple[str, list[Sample]]:
        uid, address = pod["metadata"]["uid"], pod["status"]["podIP"]
        try:
            return uid, believed(await self._door.read(address, host_stats.decode_load), now)
        except UnreadableError:
            return uid, []


def asked(pods: Sequence[Body], now: int) -> list[Body]:
    """Return those of the pods that are asked in this second."""
    if len(pods) <= MOST_ASKED:
        return list(pods)
    first = now * MOST_ASKED % len(pods)
    return [*pods[first:], *pods[:first]][:MOST_ASKED]


def believed(samples: Sequence[HostSample], now: int) -> list[Sample]:
    """Return what can be true; nothing if any of it cannot."""
    try:
        read = [_sample(each) for each in samples]
    except SampleError:
        return []
    return read if all(credible(each, now) for each in read) else []


def newest(told: Told, *, asked: int, pods: int) -> Sample | None:
    """Return the newest second that at least half of the read hosts have; None is a gap.

    Args:
        told: What was read.
        asked: Hosts that were asked.
        pods: Hosts that take calls.

    """
    lasts = sorted(samples[-1].time for samples in told.values())
    if not lasts:
        return None
    time = lasts[len(lasts) // 2]
    seconds = [each for samples in told.values() for each in samples[-5:] if each.time == time]
    unread = len(told) - len(seconds)
    return together(seconds, asked=max(0, asked - unread), pods=pods)


def _sample(each: HostSample) -> Sample:
    return Sample(
        time=each.time,
        concurrency=each.concurrency,
        queued=min(each.queued, each.concurrency),
        requests=each.requests * MILLI,
        refused=each.refused * MILLI,
        contexts=each.contexts * MILLI,
        ending=each.calls * MILLI,
        ending_queued=min(each.waiting, each.calls) * MILLI,
    )
