"""What the operator says of one sandbox, as every event of a watch had it."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Iterator

from tests.bed.kubectl import Kubectl, until
from tests.gitops import lines
from tests.gitops.lines import Lines

PATHS = (
    *("metadata.generation", "status.observedGeneration"),
    *("status.desiredReplicas", "status.readyReplicas"),
    'status.conditions[?(@.type=="Reconciling")].status',
    'status.conditions[?(@.type=="ScalingActive")].reason',
)
SECONDS = 120.0


@dataclasses.dataclass(frozen=True)
class State:
    """A sandbox as one event had it; empty text for what is not there yet."""

    at: float
    """Monotonic seconds."""
    generation: str
    observed: str
    desired: str
    ready: str
    reconciling: str
    active: str

    @property
    def calm(self) -> bool:
        """Whether it speaks of the newest generation, and no roll-out is under way."""
        return self.observed == self.generation and self.reconciling == "False"


class Statuses:
    """Keeps every state of the only sandbox of a namespace."""

    def __init__(self, watched: Lines) -> None:
        self._watched = watched

    def until(self, what: str, holds: Callable[[State], bool], since: float) -> State:
        """Wait for a state; return the first of that kind since then, else the newest.

        Args:
            what: For the error.
            holds: Tells the state.
            since: Monotonic seconds.

        """

        def probe() -> State:
            states = [State(at, *fields) for at, fields in self._watched.seen]
            fitting = [each for each in states if each.at >= since and holds(each)]
            if fitting or (states and holds(states[-1])):
                return (fitting or states[-1:])[0]
            raise LookupError(states[-1:])

        found: State = until(what, probe, seconds=SECONDS, every=0.05)
        return found

    @property
    def calm(self) -> bool:
        """Whether its newest state is."""
        return any(State(at, *fields).calm for at, fields in self._watched.seen[-1:])


@contextlib.contextmanager
def watching(kubectl: Kubectl, namespace: str) -> Iterator[Statuses]:
    """Watch the sandbox of a namespace until the block ends."""
    with lines.watching(kubectl, namespace, "psb", PATHS) as watched:
        yield Statuses(watched)
