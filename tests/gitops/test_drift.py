"""Nothing that the operator does is ever a difference from Git, by Argo CD's own word."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.gitops.argocd import ArgoCD
from tests.gitops.storm import storm

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(900)]

DECISIONS = 10


async def test_decisions_roll_outs_crashes_and_repairs_never_drift_and_a_scale_that_must_does(
    argo: ArgoCD, tmp_path: Path
) -> None:
    *storms, control = await storm(argo, tmp_path, decisions=DECISIONS, sandboxes=3)
    for each in storms:
        assert each.decisions >= DECISIONS
        assert each.roll_outs >= 6
        assert min(each.crashes, each.repairs, each.restarts) > 0
        assert each.comparisons >= 4
        assert each.clean, each
    assert control.out_of_sync_seconds > 0, "the watcher sees what drifts"
