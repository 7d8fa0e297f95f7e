"""`make demo-gitops`: the story told on the local cluster, with what each step took."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.bed import platform
from tests.bed.platform import Platform
from tests.demo.screen import Screen
from tests.gitops import story
from tests.gitops.applications import watching
from tests.gitops.argocd import argocd
from tests.gitops.repository import Repository
from tests.gitops.story import GREETING, Story

POLL_SECONDS = 10
TOLD, MOST = (2, 3, 4), 5
"""Numbers of pods that commits ask for: those of which Argo CD is told, and one that it finds."""


@contextlib.contextmanager
def told(cluster: Platform, poll: int | None = None) -> Iterator[Story]:
    """Set the stage on an emptied cluster, and empty it again.

    Args:
        cluster: With our images on it.
        poll: Seconds between two looks of Argo CD at Git; its own when None.

    """
    story.clear(cluster.kubectl)
    try:
        with (
            tempfile.TemporaryDirectory(prefix="gitops-") as scratch,
            argocd(cluster.kubectl, Path(scratch) / "argocd", poll) as argo,
            watching(cluster.kubectl) as watcher,
        ):
            repository = Repository(Path(scratch) / "git")
            with contextlib.closing(Story(cluster, argo, watcher, repository)) as telling:
                telling.stock()
                yield telling
    finally:
        story.clear(cluster.kubectl)


def run() -> None:
    """Tell the story and print what each step took."""
    screen = Screen()
    with screen.step("A real Kubernetes cluster with our images on it"):
        cluster = platform.prepare()
    with contextlib.ExitStack() as stack:
        with screen.step("No kind and no operator on it, but Argo CD as three processes"):
            telling = stack.enter_context(told(cluster, POLL_SECONDS))
        _serve(screen, telling)
        _live(screen, telling)
        _widen(screen, telling)
        _scale(screen, telling)
        with screen.step("Deleting the Application takes all of it away again"):
            telling.leave()
    screen.say(f"all of it took {screen.seconds:.0f} s")


def clear() -> None:
    """Empty the cluster of what a broken demo left."""
    story.clear(platform.client())


def _serve(screen: Screen, telling: Story) -> None:
    with screen.step("One Application is applied: CRD, operator, then a sandbox, in waves"):
        served, healthy = telling.serve()
        screen.say(f"from the empty cluster to the first answer of a call: {served:.1f} s")
        for name, seconds in healthy.items():
            screen.say(f"Application {name} Healthy after {seconds:.1f} s")


def _widen(screen: Screen, telling: Story) -> None:
    with screen.step("Commits of another policy, Argo CD told as by a webhook"):
        for minimum in TOLD:
            effect = telling.widen(minimum, refresh=True)
            screen.say(
                f"{minimum} pods: wanted {effect.decided:.2f} s after the commit, "
                f"ready after {effect.ready:.2f} s"
            )
    with screen.step(f"The same, Argo CD looking by itself each {POLL_SECONDS} s"):
        effect = telling.widen(MOST, refresh=False)
        screen.say(f"{MOST} pods: wanted {effect.decided:.2f} s after the commit")


def _live(screen: Screen, telling: Story) -> None:
    with screen.step("What Argo CD shows"):
        changed = GREETING.replace("Hello", "Good day")
        rows = [
            ("another text of the plugin", telling.rewrite(GREETING, changed, "Healthy")),
            ("one that does not load", telling.rewrite("class Hello(", "class H(", "Degraded")),
            ("mended", telling.rewrite("class H(", "class Hello(", "Healthy")),
            ("suspended", telling.operate("Suspended", "Suspended")),
            ("running", telling.operate("Running", "Healthy")),
        ]
        screen.table(("commit", "health"), [(name, " > ".join(seen)) for name, seen in rows])


def _scale(screen: Screen, telling: Story) -> None:
    with screen.step(f"kubectl scale psb/hello --replicas={MOST + 1}, and its end as it is told"):
        screen.say(telling.override(MOST + 1))
    with screen.step(f"A commit by which each of {MOST + 2} contexts gets a pod"):
        revision, decision = telling.follow(MOST + 2)
        screen.say(f"commit {revision}")
        screen.say(
            f"status.scaling.lastDecision: {decision['from']} -> {decision['to']}, "
            f"{decision['reason']}, revision {decision['revision']}"
        )
