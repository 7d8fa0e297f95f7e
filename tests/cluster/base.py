"""What every kind of cluster can do."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True)
class Part:
    """One line of a cluster's status."""

    name: str
    well: bool
    detail: str


class Cluster(Protocol):
    """A Kubernetes cluster for tests and the demo.

    Every method raises `ClusterError` with a message for the person who called it.
    """

    @property
    def kind(self) -> str:
        """``user``, ``kind`` or ``local``."""
        ...

    def up(self) -> None:
        """Make the cluster, or make it whole again; quick when there is nothing to do."""
        ...

    def down(self) -> None:
        """Take away all that `up` made."""
        ...

    def kubeconfig(self) -> Path:
        """The file that opens the cluster to an administrator."""
        ...

    def load(self, archive: Path) -> list[str]:
        """Bring the images of a docker-archive or OCI archive to where pods find them.

        Returns:
            The references under which pods can name them.
        """
        ...

    def status(self) -> list[Part]:
        """How its parts are."""
        ...

    def logs(self, component: str | None) -> str:
        """The last words of one component, or what components there are and their last lines."""
        ...
