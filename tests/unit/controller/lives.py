"""A sandbox under one operator process, as the status sees it, look by look."""

from __future__ import annotations

import dataclasses
import datetime as dt
from typing import Any

from pluginsandbox.controller import kinds
from pluginsandbox.controller.decide import Decision, decide
from pluginsandbox.controller.observed import Observed, Problem
from pluginsandbox.controller.rollout import Memory, standing
from pluginsandbox.controller.status import recheck_seconds, report
from pluginsandbox.controller.trim import Body
from tests.integration.operator import rules
from tests.unit.controller.worlds import (
    KEY,
    SETTINGS,
    live,
    observed,
    rolled_out,
    sandbox,
)


class Life:
    """One sandbox under one operator process, as the status sees it."""

    def __init__(self, world: Observed, decision: Decision) -> None:
        self.world = world
        self.decision = decision
        self.memory = Memory()
        self.recheck: float | None = None

    def look(
        self, *blocking: Problem, later: float = 0.0, waiting: bool = False, **changes: Any
    ) -> dict[str, Any]:
        """Report once, so many seconds later; the next look sees what was written."""
        now = self.world.now + dt.timedelta(seconds=later)
        self.world = dataclasses.replace(self.world, now=now, **changes)
        stands = standing(self.memory, self.world, self.decision, blocking, waiting=waiting)
        found = report(self.world, self.decision, blocking, stands)
        self.recheck = recheck_seconds(stands, found, now)
        generation = self.world.sandbox.metadata.generation
        assert not list(rules.broken(self.world.status, found.dump(), generation))
        self.world = dataclasses.replace(self.world, status=found.dump())
        return found.dump()

    def deployment(self, **status: Any) -> dict[tuple[kinds.Kind, str], Body]:
        return {(kinds.DEPLOYMENT, KEY.name): live(self.decision, **status)}


def fresh(**spec: Any) -> Life:
    world = observed(sandbox(**spec))
    return Life(world, decide(world, SETTINGS))


def done(**spec: Any) -> Life:
    return Life(*rolled_out(sandbox(**spec)))


def told_by(status: dict[str, Any]) -> dict[str, tuple[str, str]]:
    return {each["type"]: (each["status"], each["reason"]) for each in status["conditions"]}


COUNTS = {"replicas": 1, "updatedReplicas": 1, "readyReplicas": 1, "observedGeneration": 2}
