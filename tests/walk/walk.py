"""Walks: applies one spec after the other, and a fresh sandbox beside each."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import secrets
import tempfile
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

from pluginsandbox.controller import kinds
from pluginsandbox.controller.settings import FIELDS, Settings
from tests.integration.operator.bed import Bed, eventually, install_kind, sandbox, source
from tests.integration.operator.control_plane import control_plane
from tests.walk import children, specs
from tests.walk.specs import Spec

CONTROLLERS = (
    *("garbage-collector-controller", "namespace-controller", "serviceaccount-controller"),
)
"""No pods are made: what the operator asks for is looked at, not what becomes of it."""
WALKERS = 6
SECONDS = 60.0


@dataclasses.dataclass
class Report:
    """What came of a walk.

    Args:
        transitions: Steps from one spec to another.
        divergences: A line for each step after which the two were not equal.
        fields: That the specs set.

    """

    transitions: int = 0
    divergences: list[str] = dataclasses.field(default_factory=list)
    fields: set[str] = dataclasses.field(default_factory=set)

    def line(self) -> str:
        """Return the counts."""
        counts = f"transitions={self.transitions} divergences={len(self.divergences)}"
        return f"{counts} fields={len(self.fields)}"


async def walk(
    transitions: int, start: int, told: Callable[[Report], None] = lambda _: None
) -> Report:
    """Walk on a control plane of its own.

    Args:
        transitions: How many steps to take, all walkers together.
        start: Of the random numbers.
        told: Called after each step.

    """
    report = Report()
    each = -(-transitions // WALKERS)
    plans = [specs.plan(each + 1, start + number) for number in range(WALKERS)]
    async with _bed() as bed, bed.operator(_settings(bed)):
        for name in ("one", "two"):
            await bed.put(source(name, f"a = '{name}'\n"))
        steps = (_steps(bed, number, plan, report, told) for number, plan in enumerate(plans))
        await asyncio.gather(*steps)
    return report


@contextlib.asynccontextmanager
async def _bed() -> AsyncIterator[Bed]:
    with (
        tempfile.TemporaryDirectory() as folder,
        control_plane(Path(folder), CONTROLLERS) as plane,
    ):
        async with Bed(plane.kubeconfig, f"walk-{secrets.token_hex(4)}").open() as bed:
            await install_kind(bed.api)
            await bed.make_namespace()
            yield bed


def _settings(bed: Bed) -> Settings:
    common = bed.settings.model_dump(by_alias=True)
    return Settings.model_validate({**common, "allow": [{"fields": list(FIELDS)}]})


async def _steps(
    bed: Bed, number: int, plan: list[Spec], report: Report, told: Callable[[Report], None]
) -> None:
    """Take the steps of one walker."""
    walker = f"walker-{number}"
    await _apply(bed, walker, plan[0])
    for count, spec in enumerate(plan[1:]):
        fresh = f"fresh-{number}-{count}"
        await asyncio.gather(_apply(bed, walker, spec), _apply(bed, fresh, spec))
        found = await _compare(bed, walker, fresh, spec)
        await bed.drop(kinds.SANDBOX, fresh)
        report.transitions += 1
        report.fields |= specs.fields(spec)
        report.divergences += [f"{walker}, step {count}: {found}: {spec}"] if found else []
        told(report)


async def _apply(bed: Bed, name: str, spec: Spec) -> None:
    """Apply a spec as its author, and wait until the operator has done its work."""
    await bed.put({**sandbox(name), "spec": spec})
    await eventually(f"{name} is seen", lambda: bed.status(name), seconds=SECONDS)


async def _compare(bed: Bed, walker: str, fresh: str, spec: Spec) -> str:
    """Return the difference that stays; empty if there is none."""
    scaling = spec.get("scaling") or {}
    by_hand = "replicas" in spec or spec.get("operatingMode") == "Suspended"
    free = bool(scaling) and not by_hand
    wanted = await children.of(bed, fresh)
    last: list[str] = []

    async def equal() -> Any:
        last[:] = children.differences(await children.of(bed, walker), wanted, free_replicas=free)
        return not last

    with contextlib.suppress(TimeoutError):
        await eventually("the same children", equal, seconds=SECONDS / 2)
    return "; ".join(last)
