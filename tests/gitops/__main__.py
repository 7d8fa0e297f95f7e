"""`make drift-watch`: hundreds of decisions under Argo CD, and whether it ever saw a drift."""

from __future__ import annotations

import argparse
import asyncio
import logging
import sys
import tempfile
from pathlib import Path

import structlog

from tests.bed.kubectl import Kubectl
from tests.cluster import tools
from tests.demo.screen import Screen
from tests.gitops.argocd import argocd
from tests.gitops.storm import Report, storm
from tests.integration.operator.control_plane import control_plane

HEADS = (
    *("Application", "decisions", "roll-outs", "crashes", "repairs", "restarts", "comparisons"),
    *("health flaps", "Git's fields changed", "OutOfSync"),
)


def watch(decisions: int) -> bool:
    """Run it, print the table; return whether all is as it must be."""
    with (
        tempfile.TemporaryDirectory(prefix="gitops-") as scratch,
        control_plane(Path(scratch)) as plane,
        argocd(Kubectl(tools.find("kubectl"), plane.kubeconfig), plane.folder / "argocd") as argo,
    ):
        *storms, control = asyncio.run(storm(argo, Path(scratch), decisions=decisions, sandboxes=5))
    Screen().table(HEADS, [_row(each) for each in (*storms, control)])
    for each in storms:
        print("\n".join(each.git_owned_changes), end="")
    return control.out_of_sync_seconds > 0 and all(each.clean for each in storms)


def _row(report: Report) -> tuple[str, ...]:
    numbers = (
        *(report.decisions, report.roll_outs, report.crashes, report.repairs, report.restarts),
        *(report.comparisons, len(report.flaps), len(report.git_owned_changes)),
    )
    return (report.application, *map(str, numbers), f"{report.out_of_sync_seconds:.2f} s")


def main() -> int:
    """Read the command line; return the exit status."""
    parser = argparse.ArgumentParser(prog="make drift-watch", description=__doc__)
    parser.add_argument("--decisions", type=int, default=200, help="of each Application")
    given = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    logging.disable(logging.CRITICAL)
    return 0 if watch(given.decisions) else 1


if __name__ == "__main__":
    sys.exit(main())
