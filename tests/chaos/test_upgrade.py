"""The kind itself is upgraded: objects of an older one stay as they are, and so do their pods."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from pluginsandbox.api import crd
from pluginsandbox.controller import kinds
from pluginsandbox.controller.cluster import APPLY
from tests.integration.operator import audit
from tests.integration.operator.bed import (
    DEFINITION,
    SANDBOX,
    Bed,
    eventually,
    install_kind,
    sandbox,
    source,
)
from tests.integration.operator.control_plane import ControlPlane

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(180)]

Body = dict[str, Any]


def oldest(definition: Body, spec: Body) -> Body:
    """Return a kind that knows of a spec no field but those that one object names."""
    older = copy.deepcopy(definition)
    schema = older["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]
    schema["spec"] = _only(schema["spec"], spec)
    return older


def _only(schema: Body, value: Any) -> Body:
    """Return what of a schema a value needs: rules may name fields that are not there yet."""
    kept = {key: each for key, each in schema.items() if key != "x-kubernetes-validations"}
    if isinstance(value, dict) and "properties" in schema:
        known = schema["properties"]
        kept["properties"] = {key: _only(known[key], each) for key, each in value.items()}
        kept["required"] = [each for each in schema.get("required", ()) if each in value]
    if isinstance(value, list) and value:
        kept["items"] = _only(schema["items"], value[0])
    return kept


async def install(bed: Bed, definition: Body) -> None:
    path = DEFINITION.path("", crd.NAME)
    await bed.write("PATCH", path, definition, APPLY, fieldManager="test", force="true")


async def test_fields_that_a_newer_kind_adds_change_nothing_of_older_objects(
    bed: Bed, plane: ControlPlane
) -> None:
    wanted = sandbox()
    older = oldest(crd.definition(), wanted["spec"])
    await install(bed, older)
    try:

        async def old_kind() -> bool:
            tried = sandbox(name="probe", contexts={"idleTimeoutSeconds": 77})
            path = kinds.SANDBOX.path(bed.namespace)
            body = await bed.write("POST", path, tried, dryRun="All")
            return "contexts" not in body["spec"]

        await eventually("the older kind", old_kind)
        await bed.put(source())
        await bed.put(wanted)
        async with bed.operator():
            await bed.until("PluginsLoaded", "True")
            stored = await bed.get(kinds.SANDBOX)
            assert stored is not None
            assert stored["spec"].keys() == wanted["spec"].keys(), "nothing newer is stored"
            written = len(audit.writes(plane.audit_log, bed.namespace))
            await install_kind(bed.api)
            await bed.put(sandbox(name="newer", contexts={"idleTimeoutSeconds": 77}))

            async def newer() -> bool:
                return (await bed.condition("PluginsLoaded", "newer"))[0] == "True"

            await eventually("an object with newer fields", newer, seconds=60)
        async with bed.operator() as operator:  # it has read nothing before the upgrade

            async def looked() -> bool:
                counter = operator.metrics.reconcile_duration.labels("success")
                return sum(float(each.get()) for each in counter._buckets) >= 2

            await eventually("a look at both", looked, seconds=60)
        after = audit.writes(plane.audit_log, bed.namespace)[written:]
        assert not [each for each in after if each.name.startswith(SANDBOX)], after
    finally:
        await install_kind(bed.api)
