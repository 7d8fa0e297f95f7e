"""Holds every status that the operator writes against the cluster, at the moment it is written."""

from __future__ import annotations

import json
from typing import Any

from pluginsandbox.controller import explain, kinds
from pluginsandbox.controller.children import deployment
from tests.chaos.record import Call
from tests.integration.operator import rules
from tests.integration.operator.bed import Bed

Body = dict[str, Any]


class Truth:
    """Finds statuses that lie.

    Args:
        bed: The cluster.

    """

    def __init__(self, bed: Bed) -> None:
        self._bed = bed
        self._before: Body | None = None
        self.lies: list[str] = []
        self.looked = 0

    async def look(self, call: Call, answer: bytes) -> None:
        """Look at a write's answer, if it is a status."""
        if call.kind != "pluginsandboxes/status":
            return
        body = json.loads(answer)
        if body.get("kind") != kinds.SANDBOX.name:
            return  # refused
        before, generation = self._before, body["metadata"]["generation"]
        same = before is not None and before["metadata"]["uid"] == body["metadata"]["uid"]
        earlier = before["status"] if before is not None and same else {}
        found = list(rules.broken(earlier, body["status"], generation))
        if rules.kstatus(body["status"], generation) == "Current":
            found += await self._untrue(body)
        self._before = body
        self.looked += 1
        self.lies += [f"generation {generation}: {each}" for each in found]

    async def _untrue(self, body: Body) -> list[str]:
        """Return why a sandbox that is said to be as wanted is not."""
        spec = body["spec"]
        least, most = _wanted(spec)
        live = await self._bed.get(kinds.DEPLOYMENT)
        if live is None:
            return ["said to be current without a Deployment"]
        status, asked = live.get("status") or {}, live["spec"]["replicas"]
        replicas, updated, ready = await self._pods(live)
        found = []
        if not least <= asked <= most:
            found.append(f"the Deployment wants {asked}, not {least} to {most}")
        if most <= 1:  # of several, one more or one less is no roll-out
            if status.get("observedGeneration") != live["metadata"]["generation"]:
                found.append("the Deployment's controller has not seen it yet")
            if replicas != asked:
                found.append(f"said to be current with {replicas} pods")
        if updated != replicas or ready < min(asked, 1):
            found.append(f"said to be current with {ready} ready and {updated} new pods")
        return found + await self._old_code(live, spec)

    async def _pods(self, live: Body) -> tuple[int, int, int]:
        """Return how many pods stay, are of the Deployment's template, and of these are ready.

        The Deployment's own numbers tell of that a few writes later.
        """
        template = deployment.template_hash(live)
        found = [each["metadata"] | each for each in await self._bed.find(kinds.POD)]
        pods = [each for each in found if not each.get("deletionTimestamp")]
        new = [
            each
            for each in pods
            if each.get("annotations", {}).get(kinds.TEMPLATE_ANNOTATION) == template
        ]
        return len(pods), len(new), sum(map(explain.is_ready, new))

    async def _old_code(self, live: Body, spec: Body) -> list[str]:
        name = deployment.snapshot_name(live)
        snapshot = await self._bed.get(kinds.CONFIG_MAP, name)
        if snapshot is None:
            return [f"pods name the snapshot {name}, which is not there"]
        idle = (spec.get("contexts") or {}).get("idleTimeoutSeconds", 300)
        told = json.loads(snapshot["data"]["host-config"])["idle_timeout_seconds"]
        return [] if told == idle else [f"hosts have an idle time-out of {told} s, not {idle} s"]


def _wanted(spec: Body) -> tuple[int, int]:
    """Return how many pods the Deployment may ask for."""
    if spec.get("operatingMode") == "Suspended":
        return 0, 0
    if "replicas" in spec:
        return spec["replicas"], spec["replicas"]
    scaling = spec.get("scaling") or {}
    least = scaling.get("minReplicas", 1)
    return least, scaling.get("maxReplicas", least)
