"""`make drift-watch`: hundreds of decisions under Argo CD, and whether it ever saw a drift."""

from __future__ import annotations

import tempfile
from pathlib import Path

from tests.bed.kubectl import Kubectl
from tests.cluster import tools
from tests.demo.screen import Screen
from tests.gitops.argocd import argocd
from tests.gitops.storm import Report, storm
from tests.integration.operator.control_plane import control_plane

SANDBOXES = 5
HEADS = (
    *("Application", "decisions", "roll-outs", "crashes", "repairs", "restarts", "comparisons"),
    *("health flaps", "Git's fields changed", "OutOfSync", "took"),
)


async def run(decisions: int) -> bool:
    """Run it, print the table; return whether all is as it must be."""
    with (
        tempfile.TemporaryDirectory(prefix="gitops-") as scratch,
        control_plane(Path(scratch)) as plane,
        argocd(Kubectl(tools.find("kubectl"), plane.kubeconfig), plane.folder / "argocd") as argo,
    ):
        *storms, control = await storm(
            argo, Path(scratch), decisions=decisions, sandboxes=SANDBOXES
        )
    screen = Screen()
    screen.table(HEADS, [_row(each) for each in (*storms, control)])
    for each in storms:
        screen.say("\n".join((*each.flaps, *each.git_owned_changes)))
    return control.out_of_sync_seconds > 0 and all(each.clean for each in storms)


def _row(report: Report) -> tuple[str, ...]:
    numbers = (
        *(report.decisions, report.roll_outs, report.crashes, report.repairs, report.restarts),
        *(report.comparisons, len(report.flaps), len(report.git_owned_changes)),
    )
    seconds = (f"{report.out_of_sync_seconds:.2f} s", f"{report.seconds:.0f} s")
    return (report.application, *map(str, numbers), *seconds)
