"""What a few sandboxes should be, changed again and again, and whether they are so by now."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from pluginsandbox.controller import kinds
from pluginsandbox.controller.children import deployment
from tests.integration.operator.bed import Bed, sandbox, source

SANDBOXES = 8
_LOOKED_AT = (
    (kinds.SANDBOX, ""),
    *((kind, kinds.SANDBOX_LABEL) for kind in (kinds.DEPLOYMENT, kinds.CONFIG_MAP)),
)

Body = dict[str, Any]


class Wishes:
    """What the sandboxes of a bed should be, and whether they are.

    Args:
        bed: Where they are.

    """

    def __init__(self, bed: Bed) -> None:
        self._bed = bed
        self._text = ""
        self._specs: dict[str, Body] = {}

    async def change(self, number: int) -> None:
        """Ask for something else: another plugin for all, another spec for each."""
        self._text = f"a = {number}\n"
        await self._bed.put(source(text=self._text))
        for each in range(SANDBOXES):
            spec: Body = {"contexts": {"idleTimeoutSeconds": 100 + number}}
            if each % 4 == 1:
                spec["replicas"] = 1 + number % 3
            if each % 4 == 2 and number % 2:
                spec["operatingMode"] = "Suspended"
            name = f"shop-{each}"
            self._specs[name] = spec
            await self._bed.put(sandbox(name=name, **spec))

    async def met(self) -> bool:
        """Tell whether every sandbox is rolled out as asked for."""
        lists = await asyncio.gather(*(self._bed.find(*each) for each in _LOOKED_AT))
        sandboxes, deployments, snapshots = (
            {each["metadata"]["name"]: each for each in bodies} for bodies in lists
        )
        return all(
            _settled(sandboxes[name]) and self._as_asked(spec, deployments.get(name), snapshots)
            for name, spec in self._specs.items()
        )

    def _as_asked(self, spec: Body, live: Body | None, snapshots: dict[str, Body]) -> bool:
        snapshot = snapshots.get(deployment.snapshot_name(live)) if live else None
        if live is None or snapshot is None:
            return False
        wanted = 0 if "operatingMode" in spec else spec.get("replicas", 1)
        status, data = live.get("status") or {}, snapshot["data"]
        counts = {status.get(name, 0) for name in ("replicas", "readyReplicas", "updatedReplicas")}
        idle = json.loads(data["host-config"])["idle_timeout_seconds"]
        told = (data["counter.counter.py"], idle, live["spec"]["replicas"], counts)
        return bool(told == (self._text, spec["contexts"]["idleTimeoutSeconds"], wanted, {wanted}))


def _settled(body: Body) -> bool:
    status = body.get("status") or {}
    found = {each["type"]: each["status"] for each in status.get("conditions") or ()}
    current = status.get("observedGeneration") == body["metadata"]["generation"]
    return current and (found["Ready"], found["Reconciling"]) == ("True", "False")
