"""Which pods go when there are to be fewer: those with the fewest contexts. Pure.

The ReplicaSet's controller takes pods that are not ready first, then by the cost that an annotation
names. Only pods that are about to go are written to, and only just before the step.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence

from pluginsandbox.controller import explain
from pluginsandbox.controller.kinds import DELETION_COST
from pluginsandbox.controller.trim import Body

COST = "-1000"
"""Below that of a pod without the annotation, which is 0."""


def fewest(pods: Sequence[Body], contexts: Mapping[str, int], surplus: int) -> tuple[str, ...]:
    """Return the uids of the ready pods that are to go.

    Args:
        pods: Of the sandbox.
        contexts: That each pod holds, by its uid; one that was not read is kept as long as may be.
        surplus: Pods that are too many; those that are not ready go before any other.

    """
    staying = [pod for pod in pods if not pod["metadata"].get("deletionTimestamp")]
    ready = [pod["metadata"]["uid"] for pod in staying if explain.is_ready(pod)]
    ready.sort(key=lambda uid: (uid not in contexts, contexts.get(uid, 0), uid))
    return tuple(ready[: max(0, surplus - (len(staying) - len(ready)))])


def costs(pods: Sequence[Body], leaving: Collection[str]) -> Iterator[tuple[Body, str | None]]:
    """Yield the pods whose annotation must change before the step, and to what; None takes it away.

    Args:
        pods: Of the sandbox.
        leaving: Uids of those that are to go. None: no step is made, and nothing changes, as the
            ReplicaSet's controller may not have seen the last one yet.

    """
    if not leaving:
        return
    for pod in pods:
        wanted = COST if pod["metadata"]["uid"] in leaving else None
        found = (pod["metadata"].get("annotations") or {}).get(DELETION_COST)
        if found != wanted and (wanted or found == COST):
            yield pod, wanted
