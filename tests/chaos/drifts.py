"""`make drift COUNT=n`: how soon a child that somebody edited or deleted is as it should be.

Every child of a sandbox of two pods is edited by hand, edited by another controller that takes the
field over, and deleted, in turn, beside sandboxes at rest. The time runs from the API server's
answer to the moment at which a reader finds the child put right. Each edit comes from a manager of
another name, and its Event must name that manager and the field.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import dataclasses
import itertools
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from pluginsandbox.controller import kinds
from pluginsandbox.controller.cluster import APPLY, MERGE
from pluginsandbox.controller.kinds import Kind
from tests.chaos.figures import Times, say
from tests.chaos.incarnation import AsProcess
from tests.chaos.state import ASSIGNED
from tests.integration.operator.bed import SANDBOX, Bed, eventually, place, sandbox, source
from tests.integration.operator.control_plane import control_plane

GOAL_SECONDS = 2.0
NEIGHBOURS = 10
PEERS = f"{SANDBOX}-peers"
PATIENCE_SECONDS = 30.0

Body = dict[str, Any]


@dataclasses.dataclass(frozen=True)
class Child:
    """A child, and what somebody may do to it.

    Args:
        kind: Of the child.
        name: Of the child; empty = the snapshot, whose name is a hash.
        edit: What is merged or applied.
        field: That the Event must name.

    """

    kind: Kind
    name: str
    edit: Body
    field: str

    @property
    def label(self) -> str:
        """Its name for people."""
        return f"{self.kind.name} of the peers" if self.name == PEERS else self.kind.name

    async def live(self, bed: Bed) -> Body:
        """Return it; empty if it is not there, or going."""
        name = self.name or await _snapshot(bed)
        body = await bed.get(self.kind, name) if name else None
        return {} if body is None or "deletionTimestamp" in body["metadata"] else body


CHILDREN = (
    Child(
        *(kinds.CONFIG_MAP, ""),
        {"metadata": {"labels": {kinds.SOURCE_LABEL: "theirs"}}},
        f"metadata.labels.{kinds.SOURCE_LABEL}",
    ),
    Child(kinds.DEPLOYMENT, SANDBOX, {"spec": {"replicas": 4}}, "spec.replicas"),
    Child(
        kinds.NETWORK_POLICY, SANDBOX, {"spec": {"policyTypes": ["Ingress"]}}, "spec.policyTypes"
    ),
    Child(kinds.SERVICE, SANDBOX, {"spec": {"selector": {"app": "theirs"}}}, "spec.selector.app"),
    Child(kinds.SERVICE, PEERS, {"spec": {"selector": {"app": "theirs"}}}, "spec.selector.app"),
    Child(
        *(kinds.POD_DISRUPTION_BUDGET, SANDBOX),
        {"spec": {"maxUnavailable": "50%"}},
        "spec.maxUnavailable",
    ),
)
ACTS = ("by hand", "by another controller", "deleted")


class Drift:
    """Changes children and measures.

    Args:
        bed: With a sandbox of two pods and an operator.

    """

    def __init__(self, bed: Bed) -> None:
        self._bed = bed
        self.seconds: dict[str, list[float]] = {}
        self.untold: list[str] = []

    async def change(self, number: int, child: Child, act: str) -> None:
        """Do something to a child and wait until it is undone, and told."""
        before = await child.live(self._bed)
        manager = f"{'kubectl-edit' if act == 'by hand' else 'controller'}-{number}"
        await self._do(child, before, act, manager)
        began = time.monotonic()

        async def undone() -> bool:
            now = await child.live(self._bed)
            return bool(now) and _said(now) == _said(before)

        try:
            await eventually("as before", undone, seconds=PATIENCE_SECONDS)
            took = time.monotonic() - began
        except TimeoutError:
            took = float("inf")
        self.seconds.setdefault(f"{child.label} {act}", []).append(took)
        say(f"{number}: {child.label} {act}: {took:.2f} s")
        words = (child.kind.name, "deleted") if act == "deleted" else (child.field, manager)
        with contextlib.suppress(TimeoutError):
            await eventually("an event", lambda: self._told(words), seconds=PATIENCE_SECONDS)
            return
        self.untold.append(f"{child.label} {act}: no Event names {' and '.join(words)}")

    async def _do(self, child: Child, live: Body, act: str, manager: str) -> None:
        bed, name = self._bed, live["metadata"]["name"]
        path = child.kind.path(bed.namespace, name)
        if act == "deleted":
            await bed.write("DELETE", path, {})
        elif act == "by hand":
            await bed.write("PATCH", path, child.edit, MERGE, fieldManager=manager)
        else:
            head = {"apiVersion": child.kind.api_version, "kind": child.kind.name}
            metadata = {"name": name, **child.edit.get("metadata", {})}
            body = {**child.edit, **head, "metadata": metadata}
            await bed.write("PATCH", path, body, APPLY, fieldManager=manager, force="true")

    async def _told(self, words: tuple[str, ...]) -> bool:
        notes = [each["note"] for each in await self._bed.events("DriftRepaired")]
        return any(all(word in note for word in words) for note in notes)


async def _snapshot(bed: Bed) -> str:
    """Return the name of the snapshot that the Deployment's pods are made with."""
    found = await bed.find(kinds.CONFIG_MAP)
    return str(found[0]["metadata"]["name"]) if found else ""


def _said(body: Body) -> Any:
    """Return what we say about a child."""
    spec = {key: each for key, each in (body.get("spec") or {}).items() if key not in ASSIGNED}
    return body["metadata"]["labels"], spec, body.get("data")


async def measure(bed: Bed, count: int) -> Drift:
    """Change children so often."""
    await bed.put(source())
    await bed.put(sandbox(replicas=2))
    for number in range(NEIGHBOURS):
        await bed.put(sandbox(name=f"neighbour-{number}"))
    await bed.until("PluginsLoaded", "True", seconds=180)
    await asyncio.sleep(5)  # the neighbours come to rest
    drift = Drift(bed)
    turns = itertools.cycle(itertools.product(ACTS, CHILDREN))
    for number, (act, child) in enumerate(itertools.islice(turns, count)):
        await drift.change(number, child, act)
    return drift


@contextlib.asynccontextmanager
async def operator(bed: Bed, kubeconfig: Path) -> AsyncIterator[None]:
    """Run an operator as a process."""
    process = AsProcess(kubeconfig, bed.namespace, bed.settings)
    await process.start()
    try:
        yield
    finally:
        process.kill()
        await process.end()


async def run(folder: Path, count: int) -> bool:
    """Measure, and tell; return whether all was put right in time and told."""
    with control_plane(folder) as plane:
        async with place(plane.kubeconfig, "drift") as bed, operator(bed, plane.kubeconfig):
            drift = await measure(bed, count)
    for what, seconds in sorted(drift.seconds.items()):
        say(Times(what, seconds))
    for each in drift.untold:
        say(each)
    every = Times("drift to repair", list(itertools.chain(*drift.seconds.values())))
    print(f"{every} goal={GOAL_SECONDS:.0f}s untold={len(drift.untold)}", flush=True)
    return every.most <= GOAL_SECONDS and not drift.untold


def main() -> int:
    """Read the command line; return the exit status."""
    parser = argparse.ArgumentParser(prog="make drift", description=__doc__)
    parser.add_argument("--count", type=int, default=108, help="changes")
    count = parser.parse_args().count
    with tempfile.TemporaryDirectory(prefix="drift-") as folder:
        return 0 if asyncio.run(run(Path(folder), count)) else 1


if __name__ == "__main__":
    sys.exit(main())
