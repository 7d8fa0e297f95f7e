"""Who may write, and until when: one Lease, several candidates, clocks that we move."""

from __future__ import annotations

import asyncio
import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pluginsandbox.controller.errors import NotLeaderError, RetryError
from pluginsandbox.controller.kinds import LEASE, Kind
from pluginsandbox.controller.lease import Lease, LeaseTimes

TIMES = LeaseTimes(duration=15, deadline=10, retry=2, look=1)


class Leases:
    """One Lease with the API server's rules: versions must match, creating it twice conflicts."""

    def __init__(self) -> None:
        self.body: dict[str, Any] | None = None
        self.down = False
        self.clock = [0.0]
        self.latency = 0.0

    async def get(self, kind: Kind, namespace: str, name: str) -> dict[str, Any] | None:
        assert (kind, namespace, name) == (LEASE, "ops", "lease")
        self._answer()
        return copy.deepcopy(self.body)

    async def create(self, kind: Kind, body: dict[str, Any]) -> dict[str, Any]:
        assert kind is LEASE
        self._answer()
        if self.body is not None:
            raise RetryError("exists", code=409)
        return self._keep(body, 1)

    async def replace(self, kind: Kind, body: dict[str, Any]) -> dict[str, Any]:
        assert kind is LEASE
        self._answer()
        assert self.body is not None
        version = self.body["metadata"]["resourceVersion"]
        if body["metadata"]["resourceVersion"] != version:
            raise RetryError("conflict", code=409)
        return self._keep(body, int(version) + 1)

    def _answer(self) -> None:
        self.clock[0] += self.latency / 2
        if self.down:
            raise RetryError("no answer")

    def _keep(self, body: dict[str, Any], version: int) -> dict[str, Any]:
        metadata = {**body["metadata"], "resourceVersion": str(version)}
        self.body = copy.deepcopy({**body, "metadata": metadata})
        return copy.deepcopy(self.body)


class Candidate:
    def __init__(self, leases: Leases, identity: str, clock: list[float]) -> None:
        self.told: list[bool] = []
        self.lease = Lease(
            leases,  # type: ignore[arg-type]
            namespace="ops",
            name="lease",
            identity=identity,
            clock=lambda: clock[0],
            times=TIMES,
            on_change=self.told.append,
        )

    async def attempt(self) -> bool:
        """Make one attempt, as `run` does, and say whether a write may start."""
        task = asyncio.create_task(self.lease.run())
        for _ in range(10):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        return self.lease.held


async def test_the_first_leads_the_second_waits_for_the_whole_duration() -> None:
    leases, clock = Leases(), [0.0]
    first, second = Candidate(leases, "first", clock), Candidate(leases, "second", clock)
    assert await first.attempt()
    assert not await second.attempt()
    clock[0] = 12.9
    assert not await second.attempt()
    clock[0] = 13.0  # two looks early: to take over and to write takes time, too
    assert await second.attempt()
    assert not first.lease.held
    assert leases.body is not None
    assert leases.body["spec"]["holderIdentity"] == "second"
    assert leases.body["spec"]["leaseTransitions"] == 2


async def test_who_looks_rarely_follows_a_killed_leader_no_later() -> None:
    leases, clock = Leases(), [0.0]
    first, second = Candidate(leases, "first", clock), Candidate(leases, "second", clock)
    await first.attempt()
    await second.attempt()
    clock[0] = 0.1
    await first.attempt()  # its last one
    clock[0] = 1.9  # the look of 1.0 came late
    await second.attempt()
    clock[0] = 13.0
    assert await second.attempt()


async def test_a_leader_whose_renewal_is_seen_late_has_its_deadline() -> None:
    leases, clock = Leases(), [0.0]
    first, second = Candidate(leases, "first", clock), Candidate(leases, "second", clock)
    await first.attempt()
    await second.attempt()
    for moment in (5.0, 9.0):
        clock[0] = moment
        await first.attempt()
    clock[0] = 9.5  # nine seconds without a look
    await second.attempt()
    clock[0] = 18.9
    assert not await second.attempt()
    assert first.lease.held


@given(st.lists(st.tuples(st.booleans(), st.floats(0, 6), st.floats(0, 4)), max_size=30))
async def test_never_do_two_hold_it(steps: list[tuple[bool, float, float]]) -> None:
    leases, clock = Leases(), [0.0]
    pair = [Candidate(leases, name, clock) for name in ("first", "second")]
    leases.clock = clock
    for who, pause, leases.latency in steps:
        clock[0] += pause
        await pair[who].attempt()
        assert not all(each.lease.held for each in pair)


async def test_no_write_starts_after_the_deadline_which_is_before_others_may_take_over() -> None:
    leases, clock = Leases(), [0.0]
    leader = Candidate(leases, "leader", clock)
    await leader.attempt()
    leases.down = True
    clock[0] = 9.9
    await leader.attempt()
    leader.lease.gate()
    clock[0] = 10.0
    with pytest.raises(NotLeaderError):
        leader.lease.gate()
    await leader.attempt()
    assert leader.told == [True, False]
    leases.down = False
    assert await leader.attempt()
    assert leader.told == [True, False, True]


async def test_a_leader_that_sees_another_holder_stops_at_once() -> None:
    leases, clock = Leases(), [0.0]
    leader = Candidate(leases, "leader", clock)
    await leader.attempt()
    assert leases.body is not None
    leases.body["spec"]["holderIdentity"] = "usurper"
    leases.body["metadata"]["resourceVersion"] = "99"
    clock[0] = 1.0
    assert not await leader.attempt()


async def test_a_released_lease_is_taken_at_once() -> None:
    leases, clock = Leases(), [0.0]
    first, second = Candidate(leases, "first", clock), Candidate(leases, "second", clock)
    await first.attempt()
    await first.lease.release()
    assert not first.lease.held
    assert await second.attempt()


async def test_a_renewal_that_was_cut_short_does_not_keep_the_lease() -> None:
    leases, clock = Leases(), [0.0]
    first, second = Candidate(leases, "first", clock), Candidate(leases, "second", clock)
    await first.attempt()
    assert leases.body is not None
    leases.body["metadata"]["resourceVersion"] = "7"  # it arrived, and its answer did not
    await first.lease.release()
    assert await second.attempt()


async def test_a_lease_that_another_has_taken_is_not_released() -> None:
    leases, clock = Leases(), [0.0]
    first, second = Candidate(leases, "first", clock), Candidate(leases, "second", clock)
    await first.attempt()
    assert leases.body is not None
    leases.body["spec"]["holderIdentity"] = ""
    await second.attempt()
    await first.lease.release()
    assert leases.body["spec"]["holderIdentity"] == "second"


async def test_what_was_never_held_is_not_released() -> None:
    leases = Leases()
    await Candidate(leases, "idle", [0.0]).lease.release()
    assert leases.body is None


async def test_waiting_ends_when_it_is_held() -> None:
    leases, clock = Leases(), [0.0]
    candidate = Candidate(leases, "one", clock)
    waiting = asyncio.create_task(candidate.lease.wait_held())
    await asyncio.sleep(0)
    assert not waiting.done()
    await candidate.attempt()
    await asyncio.wait_for(waiting, 1)


@pytest.mark.parametrize("times", [(2, 10, 15), (15, 2, 10), (15, 10, 0), (15, 14, 2)])
def test_times_must_be_ordered(times: tuple[float, float, float]) -> None:
    duration, deadline, retry = times
    with pytest.raises(ValueError, match="ordered"):
        LeaseTimes(duration=duration, deadline=deadline, retry=retry)
