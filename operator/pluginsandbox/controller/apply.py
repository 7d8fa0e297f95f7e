"""Carries a decision out: writes what differs, in order, then deletes what must go.

An object that is not controlled by the sandbox is never written. Whether something under a name
exists is looked up before it is made, and it is made without force: if somebody else makes it in
between, the server reports a conflict and nothing is taken over.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

import structlog

from pluginsandbox.api.reasons import Reason
from pluginsandbox.controller import drift, kinds
from pluginsandbox.controller.children.common import Manifest
from pluginsandbox.controller.cluster import Cluster
from pluginsandbox.controller.decide import Decision
from pluginsandbox.controller.errors import PermanentError
from pluginsandbox.controller.explain import quote
from pluginsandbox.controller.kinds import APPLIED_ANNOTATION, Key, Kind
from pluginsandbox.controller.observed import Observed, Problem, controlled_by, left_by_namesake
from pluginsandbox.controller.store import Store
from pluginsandbox.controller.trim import Body, trim

log = structlog.get_logger()

MAX_NAMED_FIELDS = 3
_COMPARED = ("metadata", "spec", "immutable")
_BEFORE_PODS = frozenset({kinds.CONFIG_MAP, kinds.NETWORK_POLICY})
"""What must be there before pods are made: their configuration, and the rules of their network."""


@dataclasses.dataclass(frozen=True, slots=True)
class Repair:
    """A child that somebody else changed, and that was put right.

    Args:
        kind: Of the child.
        name: Of the child.
        fields: Paths that differed; the first few.

    """

    kind: Kind
    name: str
    fields: tuple[str, ...]


@dataclasses.dataclass(frozen=True, slots=True)
class Applied:
    """What came of a decision.

    Args:
        problems: What the server or another owner refused.
        repairs: Drift that was put right.
        waiting: Whether something must be looked at again soon: a name that is about to be free.

    """

    problems: tuple[Problem, ...] = ()
    repairs: tuple[Repair, ...] = ()
    waiting: bool = False


class _NotOursError(Exception):
    """The name is taken; `problem` is None if it will be free soon by itself."""

    def __init__(self, problem: Problem | None) -> None:
        super().__init__()
        self.problem = problem


class Applier:
    """Writes children.

    Args:
        store: Takes in the server's answers.
        cluster: Where to write.

    """

    def __init__(self, store: Store, cluster: Cluster) -> None:
        self._store = store
        self._cluster = cluster
        self._futile: dict[Key, dict[tuple[Kind, str], tuple[str, str]]] = {}

    async def apply(self, observed: Observed, decision: Decision) -> Applied:
        """Write what differs from the decision.

        Raises:
            RetryError: The server could not be reached, was busy, or saw a conflict.
            ProgrammerError: A manifest of ours is malformed.

        """
        problems: list[Problem] = []
        repairs: list[Repair] = []
        missing: set[Kind] = set()
        waiting = False
        for kind, manifest in decision.writes:
            if kind is kinds.DEPLOYMENT and decision.replicas and missing & _BEFORE_PODS:
                continue
            try:
                repairs += await self._child(kind, manifest, observed)
            except _NotOursError as error:
                missing.add(kind)
                waiting |= error.problem is None
                problems += [error.problem] if error.problem else []
            except PermanentError as error:
                missing.add(kind)
                problems.append(_refused(kind, manifest["metadata"]["name"], error))
        if not missing:
            problems += await self._delete(decision.deletions)
        return Applied(tuple(problems), tuple(repairs), waiting)

    def forget(self, key: Key) -> None:
        """Drop what is known of a sandbox that is gone."""
        self._futile.pop(key, None)

    async def _child(self, kind: Kind, manifest: Manifest, observed: Observed) -> list[Repair]:
        name = manifest["metadata"]["name"]
        live = await self._live(kind, observed.key, name)
        if live is None:
            return await self._write(observed.key, kind, manifest, None)
        if not controlled_by(live, observed.sandbox):
            namesake = left_by_namesake(live, observed.sandbox)
            raise _NotOursError(None if namesake else _conflict(kind, name, observed))
        if "deletionTimestamp" in live["metadata"]:
            raise _NotOursError(None)
        return await self._write(observed.key, kind, manifest, live)

    async def _live(self, kind: Kind, key: Key, name: str) -> Body | None:
        """Return the object under a name, whoever owns it.

        The store has only what carries our label, so what it lacks is looked up.
        """
        known = self._store.get(kind, key.namespace, name)
        if known is not None:
            return known
        metadata = await self._cluster.get_metadata(kind, key.namespace, name)
        return None if metadata is None else trim(kind, metadata)

    async def _write(
        self, key: Key, kind: Kind, manifest: Manifest, live: Body | None
    ) -> list[Repair]:
        metadata = manifest["metadata"]
        futile, at = self._futile.setdefault(key, {}), (kind, metadata["name"])
        wanted = metadata["annotations"][APPLIED_ANNOTATION]
        compared = {part: manifest[part] for part in _COMPARED if part in manifest}
        if live is not None:
            if drift.covers(live, compared):
                return []
            if futile.get(at) == (wanted, drift.fingerprint(live)):
                return []
        answer = trim(kind, await self._cluster.apply(kind, manifest, force=live is not None))
        self._store.put(kind, answer)
        log.info(
            "applied",
            kind=kind.name,
            namespace=metadata["namespace"],
            name=metadata["name"],
            new=live is None,
        )
        if drift.covers(answer, compared):
            futile.pop(at, None)
        else:  # somebody rewrites it on its way into the server: do not repeat that for ever
            futile[at] = (wanted, drift.fingerprint(answer))
        if live is None or _applied(live) != wanted:
            return []
        fields = tuple(drift.differences(live, compared))[:MAX_NAMED_FIELDS]
        return [Repair(kind, metadata["name"], fields)]

    async def _delete(self, bodies: Iterable[tuple[Kind, Body]]) -> list[Problem]:
        for kind, body in bodies:
            name = body["metadata"]["name"]
            try:
                await self._cluster.delete(kind, body)
            except PermanentError as error:
                return [_refused(kind, name, error)]
            self._store.remove(kind, body)
            log.info("deleted", kind=kind.name, namespace=body["metadata"]["namespace"], name=name)
        return []


def _applied(live: Body) -> str:
    return str((live["metadata"].get("annotations") or {}).get(APPLIED_ANNOTATION, ""))


def _conflict(kind: Kind, name: str, observed: Observed) -> Problem:
    return Problem(
        Reason.NAME_CONFLICT,
        f"{kind.name} {name} exists in namespace {observed.key.namespace} and does not belong to "
        "this sandbox: delete or rename it, or give the sandbox another name",
        edit=True,
    )


def _refused(kind: Kind, name: str, error: PermanentError) -> Problem:
    return Problem(
        Reason.REQUEST_REFUSED,
        f"the API server refuses {kind.name} {name} (HTTP {error.code}): {quote(str(error))}",
    )
