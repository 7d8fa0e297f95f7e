"""What a sandbox costs in writes, counted where they arrive: at the API server."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from pluginsandbox.controller import kinds
from tests.integration.operator import audit
from tests.integration.operator.bed import Bed, eventually, sandbox, source
from tests.integration.operator.control_plane import ControlPlane

pytestmark = pytest.mark.cluster


async def test_one_pod_costs_four_children_and_two_statuses_and_a_change_at_most_five_writes(
    bed: Bed, plane: ControlPlane
) -> None:
    async with bed.operator():
        await bed.put(source())
        await bed.put(sandbox())
        await bed.until("Ready", "True")
        await bed.until("PluginsLoaded", "True")
        written = audit.writes(plane.audit_log, bed.namespace)
        assert Counter((each.verb, each.what) for each in written) == {
            ("patch", "configmaps"): 1,
            ("patch", "networkpolicies"): 1,
            ("patch", "services"): 1,
            ("patch", "deployments"): 1,
            ("patch", "pluginsandboxes/status"): 2,
        }
        assert {each.code for each in written} <= {200, 201}
        await bed.put(source(text="a = 2\n"))
        (old,) = [each.name for each in written if each.what == "configmaps"]

        async def renewed() -> Any:
            names = [each["metadata"]["name"] for each in await bed.find(kinds.CONFIG_MAP)]
            return len(names) == 1 and names != [old]

        await eventually("only a new snapshot", renewed, seconds=30)
        await bed.until("Ready", "True")
        spent = audit.writes(plane.audit_log, bed.namespace)[len(written) :]
        assert ("delete", "configmaps") in {(each.verb, each.what) for each in spent}
        assert len(spent) <= 5, spent
