"""Somebody edits or deletes a child: it is put right at once, counted, and told by name."""

from __future__ import annotations

from typing import Any

import pytest

from pluginsandbox.controller import kinds
from pluginsandbox.controller.kinds import Kind
from pluginsandbox.controller.operator import Operator
from tests.integration.operator.bed import SANDBOX, Bed, eventually, sandbox, source

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(120)]

EDITS: dict[Kind, tuple[dict[str, Any], str]] = {
    kinds.DEPLOYMENT: ({"spec": {"replicas": 4}}, "spec.replicas"),
    kinds.SERVICE: ({"spec": {"selector": {"app": "theirs"}}}, "spec.selector.app"),
    kinds.NETWORK_POLICY: ({"spec": {"policyTypes": ["Ingress"]}}, "spec.policyTypes"),
}


async def up(bed: Bed) -> None:
    await bed.put(source())
    await bed.put(sandbox())
    await bed.until("PluginsLoaded", "True", seconds=60)


def counted(operator: Operator, kind: Kind) -> float:
    return float(operator.metrics.repairs.labels(kind.name)._value.get())


async def test_an_edit_is_undone_and_its_author_named(bed: Bed) -> None:
    async with bed.operator() as operator:
        await up(bed)
        for kind, (edit, field) in EDITS.items():
            path = kind.path(bed.namespace, SANDBOX)
            content = "application/merge-patch+json"
            ours = (await bed.get(kind) or {})["spec"]
            await bed.write("PATCH", path, edit, content, fieldManager="kubectl-edit")

            async def undone(kind: Kind = kind, ours: Any = ours) -> Any:
                live = await bed.get(kind)
                return live is not None and live["spec"] == ours

            await eventually(f"{kind.name} as it was", undone)

            async def told(kind: Kind = kind, field: str = field) -> Any:
                notes = [each["note"] for each in await bed.events("DriftRepaired")]
                return [note for note in notes if kind.name in note and field in note]

            (note,) = await eventually("an event", told)
            assert "by kubectl-edit" in note
            assert counted(operator, kind) == 1


@pytest.mark.parametrize("kind", EDITS, ids=lambda kind: str(kind.name))
async def test_a_deleted_child_is_made_again_and_told(bed: Bed, kind: Kind) -> None:
    async with bed.operator() as operator:
        await up(bed)
        await bed.drop(kind)

        async def back() -> Any:
            live = await bed.get(kind)
            return live is not None and "deletionTimestamp" not in live["metadata"]

        async def told() -> Any:
            return await bed.events("DriftRepaired")

        (event,) = await eventually("an event", told)
        assert event["note"] == f"{kind.name} {SANDBOX} was deleted by somebody else and made again"
        await eventually("the child", back)
        assert counted(operator, kind) == 1
