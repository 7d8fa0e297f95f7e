"""Somebody edits or deletes a child: it is put right at once, counted, and told by name."""

from __future__ import annotations

from typing import Any

import pytest

from pluginsandbox.controller import kinds
from pluginsandbox.controller.cluster import APPLY
from pluginsandbox.controller.kinds import Kind
from pluginsandbox.controller.operator import Operator
from tests.integration.operator import audit
from tests.integration.operator.bed import SANDBOX, Bed, eventually, sandbox, source
from tests.integration.operator.control_plane import ControlPlane

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


async def test_a_snapshot_whose_label_was_changed_is_put_right_though_no_watch_shows_it(
    bed: Bed,
) -> None:
    async with bed.operator():
        await up(bed)
        (snapshot,) = await bed.find(kinds.CONFIG_MAP)
        name, labels = snapshot["metadata"]["name"], snapshot["metadata"]["labels"]
        theirs = {"metadata": {"labels": {kinds.SOURCE_LABEL: "theirs"}}}
        await bed.api.merge(kinds.CONFIG_MAP, bed.namespace, name, theirs)

        async def undone() -> bool:
            live = await bed.get(kinds.CONFIG_MAP, name)
            return live is not None and live["metadata"]["labels"] == labels

        await eventually("its label", undone)


MARK = {"metadata": {"annotations": {"example.com/theirs": "yes"}}}
SIDECAR = {"name": "sidecar", "image": "pluginsandbox-test.invalid/sidecar:none"}
BESIDE: dict[Kind, dict[str, Any]] = {
    kinds.DEPLOYMENT: {**MARK, "spec": {"template": {"spec": {"containers": [SIDECAR]}}}},
    kinds.SERVICE: {**MARK, "spec": {"sessionAffinity": "None", "internalTrafficPolicy": "Local"}},
    kinds.NETWORK_POLICY: MARK,
}


async def test_what_others_own_beside_ours_stays_and_nothing_is_written(
    bed: Bed, plane: ControlPlane
) -> None:
    def children() -> list[audit.Write]:
        written = audit.writes(plane.audit_log, bed.namespace)
        return [each for each in written if each.what != "pluginsandboxes/status"]

    async with bed.operator() as operator:
        await up(bed)
        before = children()
        for kind, beside in BESIDE.items():
            head = {"apiVersion": kind.api_version, "kind": kind.name}
            body = {**beside, **head, "metadata": {"name": SANDBOX, **beside["metadata"]}}
            path = kind.path(bed.namespace, SANDBOX)
            await bed.write("PATCH", path, body, APPLY, fieldManager="injector")

        async def injected() -> bool:
            pods = await bed.find(kinds.POD)
            return [len(each["spec"]["containers"]) for each in pods] == [2]

        await eventually("a pod with the sidecar", injected)
        await bed.until("Ready", "True")
        for _ in range(3):
            await _look(operator)
        assert children() == before
        for kind in BESIDE:
            live = await bed.get(kind)
            assert live is not None
            assert (
                live["metadata"]["annotations"].items() >= MARK["metadata"]["annotations"].items()
            )
        assert not await bed.events("DriftRepaired")


async def _look(operator: Operator) -> None:
    """Have it look at every sandbox once more."""
    counter = operator.metrics.reconcile_duration.labels("success")

    def looks() -> float:
        return sum(float(each.get()) for each in counter._buckets)

    before = looks()
    for key in operator.store.sandboxes():
        operator.queue.add(key)

    async def looked() -> bool:
        return looks() > before

    await eventually("another look", looked)
