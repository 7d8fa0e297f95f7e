"""Kills an operator at a write, starts the next one, and compares the end with an undisturbed run.

A lap is a sandbox's life, flow by flow. The first lap of a lane is undisturbed: it records the
writes of each flow and the state that each ends in. In the later laps the operator dies once or
twice in each flow, before or after one of its writes reached the server.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import json
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Literal

from pluginsandbox.controller import kinds
from pluginsandbox.controller.settings import Settings
from tests.chaos.flows import Flow
from tests.chaos.incarnation import Incarnation
from tests.chaos.proxy import Proxy
from tests.chaos.record import Call
from tests.chaos.state import CHILDREN, State, counts, differences, orphans, state_of
from tests.chaos.truth import Truth
from tests.chaos.upstream import Upstream
from tests.integration.operator.bed import Bed, eventually

Moment = Literal["before", "after"]
Life = Callable[[Path, str, Settings], Incarnation]

QUIET_SECONDS = 3.0
"""Without a write for so long nothing more comes: a spare snapshot is looked for every 2.4 s."""
LEAD_SECONDS = 60.0
END_SECONDS = 60.0
LEASE = "pluginsandbox-operator"


@dataclasses.dataclass(frozen=True)
class Point:
    """Where an operator dies.

    Args:
        what: Verb and kind of the write; empty = any.
        number: The how-manieth of them, from 1.
        moment: Before the server got it, or after it acted on it.

    """

    what: str
    number: int
    moment: Moment

    def of(self, flow: str) -> str:
        """Return its name in a flow."""
        return f"{flow}: {self.moment} {self.what} {self.number}"


@dataclasses.dataclass
class Tally:
    """What came of it.

    Args:
        kills: Operators that died at a write.
        known: Every point of the undisturbed runs: flow, moment and write.
        tried: Of these, how often a death was planned there.
        points: Of these, how often one died there.
        seconds: From each restart until the end state was reached.
        divergences: End states unlike the undisturbed run's, and statuses that lie.
        orphans: Children without an owner.
        duplicates: Flows that ended with more of a kind than there should be.

    """

    kills: int = 0
    known: set[str] = dataclasses.field(default_factory=set)
    tried: Counter[str] = dataclasses.field(default_factory=Counter)
    points: Counter[str] = dataclasses.field(default_factory=Counter)
    seconds: list[float] = dataclasses.field(default_factory=list)
    statuses: int = 0
    divergences: list[str] = dataclasses.field(default_factory=list)
    orphans: list[str] = dataclasses.field(default_factory=list)
    duplicates: list[str] = dataclasses.field(default_factory=list)

    @property
    def line(self) -> str:
        """All of it in one line."""
        return (
            f"kills={self.kills} divergences={len(self.divergences)} "
            f"orphans={len(self.orphans)} duplicates={len(self.duplicates)}"
        )

    @property
    def wrong(self) -> list[str]:
        """What is wrong."""
        return [*self.divergences, *self.orphans, *self.duplicates]


class Lane:
    """One namespace with one operator at a time.

    Args:
        bed: The namespace.
        upstream: The API server.
        life: Makes an incarnation.
        tally: Takes what comes of it.

    """

    def __init__(self, bed: Bed, upstream: Upstream, life: Life, tally: Tally) -> None:
        self._bed = bed
        self._upstream = upstream
        self._life = life
        self._tally = tally
        self._truth = Truth(bed)
        self._point: Point | None = None
        self._met = 0
        self._doomed = -1
        self._flow = ""
        self._image = "old"
        self._started = 0.0
        self._stack = contextlib.AsyncExitStack()
        self._proxy: Proxy
        self._living: Incarnation
        self.reference: dict[str, tuple[list[str], State]] = {}

    @contextlib.asynccontextmanager
    async def open(self) -> AsyncIterator[Lane]:
        """Start the first operator; end the last one with the block."""
        async with self._stack:
            await self._start()
            try:
                yield self
            finally:
                self._die()

    async def undisturbed(self, flows: Sequence[Flow]) -> None:
        """Run the flows and keep what each writes and ends in."""
        for flow in flows:
            since = await self._enter(flow, None)
            acted = time.monotonic()
            await flow.act(self._bed)
            await self._settle(flow, acted)
            done = [each for each in self._proxy.record.calls[since:] if each.writes]
            writes = [each.what for each in done if each.kind != "leases"]
            self.reference[flow.name] = (writes, await state_of(self._bed))
            self._tally.known |= {each.of(flow.name) for each in self.points(flow)}

    async def lap(self, flows: Sequence[Flow], deaths: Callable[[Flow], Sequence[Point]]) -> None:
        """Run the flows, with deaths in each."""
        for flow in flows:
            first, *more = deaths(flow)
            await self._enter(flow, first)
            await flow.act(self._bed)
            await self._await_death(flow)
            for point in more:
                await self._start(point)
                await self._await_death(flow)
            began = time.monotonic()
            await self._start()
            await self._compare(flow, began)

    def points(self, flow: Flow) -> list[Point]:
        """Return every point at which an operator can die in a flow."""
        seen: Counter[str] = Counter()
        points = []
        for what in self.reference[flow.name][0]:
            seen[what] += 1
            points += [Point(what, seen[what], moment) for moment in ("before", "after")]
        return points

    async def _enter(self, flow: Flow, point: Point | None) -> int:
        """Have an operator with the flow's configuration; return its calls up to the flow."""
        self._flow = flow.name
        if flow.image == self._image:
            self._arm(point)
            return len(self._proxy.record.calls)
        self._image = flow.image
        self._die()
        await self._start(point)
        return 0

    async def _await_death(self, flow: Flow) -> None:
        """Wait until the operator dies, or until there is nothing left to die at."""
        until = time.monotonic() + END_SECONDS
        while not self._proxy.dead.is_set() and time.monotonic() < until:
            if await self._ended(flow) and self._quiet(1.0):
                break
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._proxy.dead.wait(), 0.2)
        self._arm(None)
        self._die()

    async def _start(self, point: Point | None = None) -> None:
        self._proxy = await self._stack.enter_async_context(Proxy(self._upstream, self._hook).run())
        settings = self._bed.settings.model_copy(
            update={"host_image": f"pluginsandbox-test.invalid/host:{self._image}"}
        )
        await self._free_lease()
        self._arm(point)
        self._started = time.monotonic()
        self._living = self._life(self._proxy.kubeconfig, self._bed.namespace, settings)
        await self._living.start()
        self._stack.push_async_callback(self._living.end)
        if point is None:
            await eventually("a leader", self._leads, seconds=LEAD_SECONDS)

    def _die(self) -> None:
        self._proxy.cut()
        self._living.kill()

    def _arm(self, point: Point | None) -> None:
        self._point, self._met, self._doomed = point, 0, -1

    async def _hook(self, moment: Moment, call: Call, answer: bytes) -> None:
        if moment == "after":
            await self._truth.look(call, answer)
        point = self._point
        if point is None or point.what not in {"", call.what}:
            return
        if moment == "before":
            self._met += 1
            if self._met == point.number:
                self._doomed = call.number
        if call.number == self._doomed and moment == point.moment:
            self._tally.kills += 1
            if point.what:
                self._tally.points[point.of(self._flow)] += 1
            self._arm(None)
            self._die()

    async def _leads(self) -> bool:
        return any(
            each.kind == "leases" and each.writes and 200 <= each.status < 300
            for each in self._proxy.record
        )

    async def _free_lease(self) -> None:
        """Spare the 15 s that a successor of a killed leader waits."""
        if await self._bed.get(kinds.LEASE, LEASE) is not None:
            free = {"spec": {"holderIdentity": ""}}
            await self._bed.api.merge(kinds.LEASE, self._bed.namespace, LEASE, free)

    def _quiet(self, seconds: float) -> bool:
        writes = (each.at for each in self._proxy.record if each.writes and each.kind != "leases")
        return time.monotonic() - max(writes, default=self._started) > seconds

    async def _settle(self, flow: Flow, acted: float) -> None:
        async def settled() -> bool:
            quiet = time.monotonic() - acted > QUIET_SECONDS and self._quiet(QUIET_SECONDS)
            return quiet and await self._met_goal(flow)

        await eventually(f"the end of {flow.name!r}", settled, seconds=END_SECONDS)

    async def _met_goal(self, flow: Flow) -> bool:
        if not flow.ready:
            state = await state_of(self._bed)
            return not any(state[kind.name] for kind in (*CHILDREN, kinds.POD))
        return (await self._bed.condition("Ready"))[:2] == ("True", flow.ready)

    async def _ended(self, flow: Flow) -> bool:
        return await state_of(self._bed) == self.reference[flow.name][1]

    async def _compare(self, flow: Flow, began: float) -> None:
        """Wait for the undisturbed run's end state, and note what is unlike it."""

        async def ended() -> bool:
            return await self._ended(flow)

        with contextlib.suppress(TimeoutError):
            await eventually("the end state", ended, seconds=END_SECONDS)
            self._tally.seconds.append(time.monotonic() - began)
        found, wanted = await state_of(self._bed), self.reference[flow.name][1]
        where = f"{self._bed.namespace} {flow.name}"
        self._tally.divergences += [f"{where}: {each}" for each in differences(found, wanted)]
        self._tally.divergences += [f"{where}: a lie: {each}" for each in self._truth.lies]
        self._tally.orphans += [f"{where}: {each}" for each in orphans(found)]
        many, few = counts(found), counts(wanted)
        self._tally.duplicates += [f"{where}: {kind}" for kind in many if many[kind] > few[kind]]
        self._tally.statuses += self._truth.looked
        self._truth.looked, self._truth.lies = 0, []
        if found != wanted:
            dump = json.dumps(found["PluginSandbox"])
            self._tally.divergences.append(f"{where}: status was {dump}")
