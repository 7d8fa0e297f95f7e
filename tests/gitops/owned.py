"""What Git owns of sandboxes, as every event of a watch had it."""

from __future__ import annotations

import collections
import contextlib
import itertools
from collections.abc import Iterator

from tests.bed.kubectl import Kubectl
from tests.gitops import lines
from tests.gitops.lines import Lines

PATHS = ("metadata.name", "metadata.generation", "metadata.finalizers", "metadata.ownerReferences")
TEXTS = "metadata.labels}{.metadata.annotations}{.spec"


class Owned:
    """Every text that the watched fields of sandboxes ever had."""

    def __init__(self, watched: Lines) -> None:
        self._watched = watched

    @property
    def changes(self) -> list[str]:
        """What each text was replaced by, for the eye."""
        texts: dict[str, list[str]] = collections.defaultdict(list)
        for _, (name, *fields) in self._watched.seen:
            texts[name].append(" ".join(fields))
        return [
            f"{name}: {before} -> {after}"
            for name, every in texts.items()
            for before, after in itertools.pairwise(every)
            if before != after
        ]


@contextlib.contextmanager
def watching(kubectl: Kubectl, namespace: str) -> Iterator[Owned]:
    """Watch the sandboxes of a namespace until the block ends."""
    with lines.watching(kubectl, namespace, "psb", (*PATHS, TEXTS)) as watched:
        yield Owned(watched)
