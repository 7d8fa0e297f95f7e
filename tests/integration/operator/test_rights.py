"""The chart's rights are enough, and each of them is needed: without it a named check fails.

`make rbac` takes every right away, one after the other; here it is a few, others from day to day.
"""

from __future__ import annotations

import datetime as dt
import os
import random
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from pluginsandbox.controller import kinds
from tests.bed import chart
from tests.integration.operator import accounts
from tests.integration.operator.bed import DEFINITION, Bed, eventually
from tests.integration.operator.control_plane import ControlPlane
from tests.integration.operator.scenario import playing, settings, values
from tests.integration.operator.test_trouble import ANYTHING, _definition
from tests.rights.rights import MARKED, RIGHTS, STOPS, Right, listed, without

pytestmark = pytest.mark.cluster

ALL = os.environ.get("RIGHTS") == "all"
TODAY = dt.datetime.now(dt.UTC).toordinal()
SEED = int(os.environ.get("RIGHTS_SEED", 0 if "CI" in os.environ else TODAY))
FEW = 4
SLOW = frozenset({MARKED})
"""Only with all rights taken: it waits for the autoscaler."""
_QUICK = [each for each in RIGHTS if each.check not in SLOW]
TAKEN = RIGHTS if ALL else random.Random(SEED).sample(_QUICK, FEW)  # noqa: S311 - no secret


@pytest.fixture
async def monitors(bed: Bed) -> AsyncIterator[None]:
    """Have the API server know PodMonitors."""
    definition = _definition(kinds.POD_MONITOR, ANYTHING)
    await bed.write("POST", DEFINITION.path(""), definition)

    async def served() -> bool:
        return await bed.api.serves(kinds.POD_MONITOR)

    await eventually("PodMonitors", served)
    yield
    await bed.write("DELETE", DEFINITION.path("", definition["metadata"]["name"]), {})


async def account(bed: Bed, folder: Path, taken: Right | None, *, wide: bool = False) -> Path:
    """Make the operator's account in the bed's namespace, with the chart's rights but one."""
    name = (bed.namespace, "operator")
    narrow = {} if wide else {"watchNamespaces": [bed.namespace]}
    watched, home = chart.rules(bed.namespace, **values(), **narrow)
    if taken is not None:
        watched, home = (
            (watched, without(home, taken)) if taken.home else (without(watched, taken), home)
        )
    kubeconfig = await accounts.make(bed, *name, folder)
    await accounts.grant(bed, name, watched, "" if wide else bed.namespace)
    await accounts.grant(bed, name, home, bed.namespace, "lease")
    return kubeconfig


def test_the_chart_gives_these_rights_and_no_other() -> None:
    watched, home = chart.rules("any", **values())
    assert listed(watched) == {(it.group, it.resource, it.verb) for it in RIGHTS if not it.home}
    assert listed(home) == {(it.group, it.resource, it.verb) for it in RIGHTS if it.home}


@pytest.mark.parametrize("wide", [False, True], ids=["Roles alone", "a ClusterRole"])
@pytest.mark.usefixtures("monitors")
async def test_with_the_charts_rights_every_check_holds(
    bed: Bed, plane: ControlPlane, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, wide: bool
) -> None:
    if wide and not ALL:
        pytest.skip("make rbac has it")
    kubeconfig = await account(bed, tmp_path, None, wide=wide)
    configuration = settings(bed, bed.namespace, chart.RELEASE)
    async with playing(bed, plane.audit_log, kubeconfig, configuration, monkeypatch) as scenario:
        assert await scenario.first_failure(MARKED if ALL else STOPS) == "", scenario.why


@pytest.mark.parametrize("right", TAKEN, ids=str)
@pytest.mark.usefixtures("monitors")
async def test_without_a_right_the_check_that_needs_it_fails(
    bed: Bed, plane: ControlPlane, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, right: Right
) -> None:
    kubeconfig = await account(bed, tmp_path, right)
    configuration = settings(bed, bed.namespace, chart.RELEASE)
    async with playing(bed, plane.audit_log, kubeconfig, configuration, monkeypatch) as scenario:
        assert await scenario.first_failure(right.check) == right.check, scenario.why
