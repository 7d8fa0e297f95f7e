"""Argo CD's Applications, and everything that a watch sees of them."""

from __future__ import annotations

import contextlib
import dataclasses
import time
from collections.abc import Callable, Iterator
from typing import Any

from tests.bed.kubectl import Kubectl, until
from tests.gitops import lines
from tests.gitops.argocd import APPLICATIONS, NAMESPACE
from tests.gitops.lines import Lines
from tests.gitops.repository import Repository

SERVER_SIDE = {"argocd.argoproj.io/compare-options": "ServerSideDiff=true"}
PATHS = (
    *("metadata.name", "status.sync.status", "status.sync.revision", "status.health.status"),
    *("status.operationState.phase", "status.operationState.syncResult.revision"),
    "status.reconciledAt",
)


def application(
    name: str,
    repository: Repository,
    path: str,
    namespace: str,
    *,
    server_side: bool = False,
) -> dict[str, Any]:
    """Return an Application that heals itself.

    Args:
        name: Of the Application.
        repository: What it reads.
        path: Folder in the repository.
        namespace: Where its objects go; must exist.
        server_side: Apply and compare by the API server, not in Argo CD itself.

    """
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Application",
        "metadata": {"name": name, "annotations": SERVER_SIDE if server_side else {}},
        "spec": {
            "project": "default",
            "source": {"repoURL": repository.url, "targetRevision": "main", "path": path},
            "destination": {"server": "https://kubernetes.default.svc", "namespace": namespace},
            "syncPolicy": {
                "automated": {"prune": True, "selfHeal": True},
                "syncOptions": ["ServerSideApply=true"] if server_side else [],
            },
        },
    }


@dataclasses.dataclass(frozen=True)
class View:
    """An Application as one event of the watch had it; empty text for what is not there yet."""

    at: float
    """Monotonic seconds."""
    name: str
    sync: str
    compared: str
    """Commit that the cluster was held against."""
    health: str
    phase: str
    applied: str
    """Commit that the last sync brought."""
    reconciled: str

    @property
    def settled(self) -> bool:
        """Whether the cluster is as Git has it, and the last sync is over."""
        return self.sync == "Synced" and (self.phase, self.applied) == ("Succeeded", self.compared)


class Watcher:
    """Keeps every state that Applications were seen in."""

    def __init__(self, watched: Lines) -> None:
        self._watched = watched
        self._brought: list[tuple[str, float, float]] = []

    def of(self, name: str) -> list[View]:
        """Return all views of an Application, oldest first."""
        return [View(at, *fields) for at, fields in self._watched.seen if fields[0] == name]

    def last(self, name: str) -> View | None:
        """Return the newest view of an Application."""
        newest = (View(at, *fields) for at, fields in reversed(self._watched.seen))
        return next((view for view in newest if view.name == name), None)

    def until(
        self, name: str, what: str, holds: Callable[[View], bool], *, seconds: float = 120
    ) -> View:
        """Wait until the newest view of an Application fulfils a condition; return it."""

        def probe() -> View | None:
            view = self.last(name)
            if view is None or not holds(view):
                raise LookupError(view)
            return view

        found: View = until(f"{name}: {what}", probe, seconds=seconds, every=0.02)
        return found

    def brought(self, name: str, revision: str, since: float, *, seconds: float = 120) -> float:
        """Wait until an Application has brought a commit and found it there.

        While it does so it is out of sync by Git's doing, which `drifted_seconds` leaves out.

        Args:
            name: Of the Application.
            revision: The commit.
            since: Monotonic seconds at which it was made.
            seconds: How long it may take.

        Returns:
            The monotonic seconds at which that was seen.

        """
        view = self.until(
            name,
            f"synced to {revision[:8]}",
            lambda view: view.settled and view.compared == revision,
            seconds=seconds,
        )
        self._brought.append((name, since, view.at))
        return view.at

    def healths(self, name: str, since: float = 0) -> list[str]:
        """Return the healths that an Application went through.

        Args:
            name: Of the Application.
            since: Monotonic seconds; the first health is the one that it had then.

        """
        views = self.of(name)
        known = [view for view in views if view.at < since][-1:]
        found: list[str] = []
        for view in known + [view for view in views if view.at >= since]:
            if view.health and found[-1:] != [view.health]:
                found.append(view.health)
        return found

    def drifted_seconds(self, name: str) -> float:
        """Return for how long an Application was out of sync, but by commits that were brought."""
        views = self.of(name)
        ends = [*(view.at for view in views[1:]), time.monotonic()]
        return sum(
            end - view.at
            for view, end in zip(views, ends, strict=True)
            if view.sync == "OutOfSync" and not self._is_bringing(view)
        )

    def _is_bringing(self, view: View) -> bool:
        return any(
            name == view.name and since <= view.at < until for name, since, until in self._brought
        )

    def comparisons(self, name: str) -> int:
        """Return in how many seconds Argo CD is known to have compared."""
        return len({view.reconciled for view in self.of(name)})


@contextlib.contextmanager
def watching(kubectl: Kubectl) -> Iterator[Watcher]:
    """Watch all Applications until the block ends."""
    with lines.watching(kubectl, NAMESPACE, APPLICATIONS, PATHS) as watched:
        yield Watcher(watched)
