"""Carries a decision out: writes what differs, in order, then deletes what must go.

An object that is not controlled by the sandbox is never written. What is not there as far as we
know is applied as if it were of `NO_VERSION`: if something has the name after all, the server
reports a conflict, nothing is taken over, and only then what is there is looked at.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import itertools
import secrets
from collections.abc import Iterable

import structlog

from pluginsandbox.api.reasons import Reason
from pluginsandbox.controller import drift, kinds
from pluginsandbox.controller.children import peers_secret
from pluginsandbox.controller.children.common import Manifest
from pluginsandbox.controller.cluster import CONFLICT, NOT_FOUND, Cluster
from pluginsandbox.controller.decide import Decision
from pluginsandbox.controller.errors import ControllerError, PermanentError, RetryError
from pluginsandbox.controller.explain import quote
from pluginsandbox.controller.kinds import APPLIED_ANNOTATION, SANDBOX_LABEL, Key, Kind
from pluginsandbox.controller.observed import Observed, Problem, controlled_by, left_by_namesake
from pluginsandbox.controller.repair import Repair, manager_of
from pluginsandbox.controller.store import Store, applied
from pluginsandbox.controller.trim import Body, trim

log = structlog.get_logger()

MAX_NAMED_FIELDS = 3
MARKS_AT_ONCE = 16
SERVICES_AT_ONCE = 8
"""The API server gives addresses to Services one by one: more of them would only wait there until
their requests are over time."""
NO_VERSION = "1"
"""A resourceVersion that no object has: an apply that names it can only make a new one. Not a POST:
what that sets belongs to an Update, and no later apply could take it away."""
_COMPARED = ("metadata", "spec", "immutable")
_BEFORE_PODS = frozenset({kinds.CONFIG_MAP, kinds.NETWORK_POLICY})
"""What must be there before pods are made: their configuration, and the rules of their network.
The Service takes the API server longest, and no pod needs it to begin."""
NAMESAKE_SECONDS = 10.0
"""A sandbox younger than this may meet what its deleted namesake left to the garbage collector."""


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


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class _Outcome:
    """What came of one child; neither written nor a problem: its name will be free soon."""

    kind: Kind = dataclasses.field(kw_only=False)
    written: bool = False
    repairs: tuple[Repair, ...] = ()
    problem: Problem | None = None
    error: ControllerError | None = None


class Applier:
    """Writes children.

    Args:
        store: Takes in the server's answers.
        cluster: Where to write.

    """

    def __init__(self, store: Store, cluster: Cluster) -> None:
        self._store = store
        self._cluster = cluster
        self._settled: dict[Key, dict[tuple[Kind, str], tuple[str, bytes]]] = {}
        self._made: dict[Key, set[tuple[str, Kind, str]]] = {}
        self._taken: dict[Key, set[tuple[Kind, str]]] = {}
        self._addresses = asyncio.Semaphore(SERVICES_AT_ONCE)

    async def apply(self, observed: Observed, decision: Decision) -> Applied:
        """Write what differs from the decision.

        Raises:
            RetryError: The server could not be reached, was busy, or saw a conflict.
            ProgrammerError: A manifest of ours is malformed.

        """
        services = [each for each in decision.writes if each[0] is kinds.SERVICE]
        # All of them end before this does: two writers of one sandbox never meet.
        ordered, beside = await asyncio.gather(
            self._in_order(observed, decision),
            asyncio.gather(*(self._try(*each, observed) for each in services)),
        )
        done = [*ordered, *beside]
        for each in done:
            if each.error is not None:
                raise each.error
        problems = [each.problem for each in done if each.problem is not None]
        if all(each.written for each in done):
            problems += await self._delete(observed.key, decision.deletions)
        return Applied(
            tuple(problems),
            tuple(repair for each in done for repair in each.repairs),
            waiting=any(not each.written and each.problem is None for each in done),
        )

    async def _in_order(self, observed: Observed, decision: Decision) -> list[_Outcome]:
        """Write what must be there before pods, then their Deployment, then what follows it."""
        first = [each for each in decision.writes if each[0] in _BEFORE_PODS]
        then = [each for each in decision.writes if each[0] not in {*_BEFORE_PODS, kinds.SERVICE}]
        done = list(await asyncio.gather(*(self._try(*each, observed) for each in first)))
        done += await self._peers(observed, decision)
        held = not all(each.written for each in done)
        try:
            await self._mark(decision.costs)
        except ControllerError as error:
            return [*done, _Outcome(kinds.POD, error=error)]
        for kind, manifest in then:
            if kind is kinds.DEPLOYMENT and decision.replicas and held:
                continue
            done.append(await self._try(kind, manifest, observed))
        return done

    def forget(self, key: Key) -> None:
        """Drop what is known of a sandbox that is gone."""
        self._settled.pop(key, None)
        self._made.pop(key, None)
        self._taken.pop(key, None)

    async def _try(self, kind: Kind, manifest: Manifest, observed: Observed) -> _Outcome:
        name = manifest["metadata"]["name"]
        try:
            live = await self._live(kind, observed.key, name)
            if live is not None and not controlled_by(live, observed.sandbox):
                namesake = left_by_namesake(live, observed.sandbox)
                return _Outcome(kind, problem=None if namesake else _conflict(kind, name, observed))
            if live is not None and "deletionTimestamp" in live["metadata"]:
                return _Outcome(kind)
            repairs = await self._write(observed.key, kind, manifest, live)
        except PermanentError as error:
            return _Outcome(kind, problem=_refused(kind, name, error))
        except ControllerError as error:
            return _Outcome(kind, error=error)
        return _Outcome(kind, written=True, repairs=tuple(repairs))

    async def _mark(self, costs: Iterable[tuple[Body, str | None]]) -> None:
        """Tell the ReplicaSet's controller which pods to take; the step comes whether or not."""
        room = asyncio.Semaphore(MARKS_AT_ONCE)
        refused = await asyncio.gather(*(self._cost(pod, cost, room) for pod, cost in costs))
        for each in itertools.islice(filter(None, refused), 1):
            log.warning("pods that are to go were not marked", error=each)

    async def _cost(self, pod: Body, cost: str | None, room: asyncio.Semaphore) -> str:
        metadata = pod["metadata"]
        patch = {"metadata": {"annotations": {kinds.DELETION_COST: cost}}}
        async with room:
            try:
                await self._cluster.merge(kinds.POD, metadata["namespace"], metadata["name"], patch)
            except PermanentError as error:
                return "" if error.code == NOT_FOUND else str(error)
        return ""

    async def _peers(self, observed: Observed, decision: Decision) -> list[_Outcome]:
        """Write what several pods need; whoever finds the others has a key already."""
        done: list[_Outcome] = []
        for kind, manifest in decision.peers:
            if kind is kinds.SECRET:
                done.append(await self._create_key(manifest, observed))
            else:
                done.append(await self._try(kind, manifest, observed))
            if not done[-1].written:
                break
        return done

    async def _create_key(self, manifest: Manifest, observed: Observed) -> _Outcome:
        """Make the key that the sandbox's pods know each other by; one that is there is right.

        It cannot be looked at. So right after a sandbox was made one waits: what is there may be
        its deleted namesake's, and about to go.
        """
        kind, name = kinds.SECRET, manifest["metadata"]["name"]
        key = secrets.token_bytes(peers_secret.KEY_BYTES)
        try:
            await self._cluster.create(kind, peers_secret.with_key(manifest, key))
        except PermanentError as error:
            return _Outcome(kind, problem=_refused(kind, name, error))
        except RetryError as error:
            if error.code != CONFLICT:
                return _Outcome(kind, error=error)
            return _Outcome(kind, written=not _young(observed))
        except ControllerError as error:
            return _Outcome(kind, error=error)
        log.info("applied", kind=kind.name, namespace=observed.key.namespace, name=name, new=True)
        return _Outcome(kind, written=True)

    async def _live(self, kind: Kind, key: Key, name: str) -> Body | None:
        """Return the object under a name, whoever owns it, as far as it is known.

        The store has only what carries our label. What else has a name is known once it was in the
        way, and looked up until it is gone.
        """
        known = self._store.get(kind, key.namespace, name)
        if known is not None or (kind, name) not in self._taken.get(key, ()):
            return known
        metadata = await self._cluster.get_metadata(kind, key.namespace, name)
        if metadata is not None:
            return trim(kind, metadata)
        self._taken[key].discard((kind, name))
        return None

    async def _write(
        self, key: Key, kind: Kind, manifest: Manifest, live: Body | None
    ) -> list[Repair]:
        metadata = manifest["metadata"]
        settled, at = self._settled.setdefault(key, {}), (kind, metadata["name"])
        wanted = metadata["annotations"][APPLIED_ANNOTATION]
        if live is not None and settled.get(at) == (wanted, drift.said(live)):
            return []
        made, child = self._made.setdefault(key, set()), _child(kind, metadata)
        compared = {part: manifest[part] for part in _COMPARED if part in manifest}
        if live is not None and drift.covers(live, compared):
            made.add(child)
            settled[at] = wanted, drift.said(live)
            return []
        deleted = live is None and child in made
        repairs = [Repair(kind, child[2])] if deleted else []
        if live is not None and applied(live) == wanted:
            repair, live = await self._changed(kind, live, compared)
            repairs = [repair]
        answer = trim(kind, await self._send(key, kind, manifest, live))
        self._store.put(kind, answer)
        log.info(
            "applied",
            kind=kind.name,
            namespace=metadata["namespace"],
            name=metadata["name"],
            new=live is None,
        )
        made.add(child)
        # Be it otherwise than asked for: who rewrites it on its way would do so for ever.
        settled[at] = wanted, drift.said(answer)
        return repairs

    async def _changed(self, kind: Kind, live: Body, compared: Manifest) -> tuple[Repair, Body]:
        """Return what somebody else did to a child that was as it should be, and the child.

        It is read for the name of who did it; so what has changed of its status alone is no
        conflict.
        """
        fields = tuple(itertools.islice(drift.differences(live, compared), MAX_NAMED_FIELDS))
        namespace, name = live["metadata"]["namespace"], live["metadata"]["name"]
        body = await self._cluster.get(kind, namespace, name)
        repair = Repair(kind, name, fields, manager_of(body or live, fields))
        fresh = live if body is None else trim(kind, body)
        return repair, fresh if drift.said(fresh) == drift.said(live) else live

    async def _send(self, key: Key, kind: Kind, manifest: Manifest, live: Body | None) -> Body:
        """Apply a manifest to exactly the object that was seen, in the state that was seen.

        What has changed since is a conflict, and looked at again: an old view of the cluster, or a
        leader that was held up, undoes nothing newer and takes over no object of the same name.
        """
        if live is None:
            return await self._make(key, kind, manifest)
        seen = {name: live["metadata"][name] for name in ("uid", "resourceVersion")}
        try:
            return await self._cluster.apply(kind, _exact(manifest, seen))
        except RetryError as error:
            if error.code == CONFLICT:
                await self._look_again(kind, live)
            raise

    async def _make(self, key: Key, kind: Kind, manifest: Manifest) -> Body:
        """Apply a manifest unless something has its name."""
        name, mark = manifest["metadata"]["name"], applied(manifest)
        fresh = _exact(manifest, {"resourceVersion": NO_VERSION})
        turn = self._addresses if kind is kinds.SERVICE else contextlib.nullcontext()
        try:
            async with turn:
                with self._store.making(kind, key.namespace, name, mark):
                    return await self._cluster.apply(kind, fresh)
        except RetryError as error:
            if error.code == CONFLICT:
                await self._find(key, kind, name)
            raise

    async def _find(self, key: Key, kind: Kind, name: str) -> None:
        """Find out what has the name of something that we wanted to make."""
        metadata = await self._cluster.get_metadata(kind, key.namespace, name)
        labels = (metadata or {"metadata": {}})["metadata"].get("labels") or {}
        if SANDBOX_LABEL in labels:
            body = await self._cluster.get(kind, key.namespace, name)
            if body is not None:
                self._store.put(kind, body)
        if self._store.get(kind, key.namespace, name) is None:  # a watch does not tell of it
            self._taken.setdefault(key, set()).add((kind, name))

    async def _look_again(self, kind: Kind, live: Body) -> None:
        """Read an object that is not as it was seen, then its sandbox.

        In this order what is decided next is never older than what it overwrites.
        """
        namespace, name = live["metadata"]["namespace"], live["metadata"]["name"]
        owner = live["metadata"].get("labels", {}).get(SANDBOX_LABEL, "")
        body = await self._cluster.get(kind, namespace, name)
        if body is None or body["metadata"]["uid"] != live["metadata"]["uid"]:
            self._store.remove(kind, live)  # what took its name, if anything, is looked up
        else:
            self._store.put(kind, body)
        sandbox = await self._cluster.get(kinds.SANDBOX, namespace, owner)
        known = self._store.get(kinds.SANDBOX, namespace, owner)
        if sandbox is not None:
            self._store.put(kinds.SANDBOX, sandbox)
        elif known is not None:
            self._store.remove(kinds.SANDBOX, known)

    async def _delete(self, key: Key, bodies: Iterable[tuple[Kind, Body]]) -> list[Problem]:
        for kind, body in bodies:
            name = body["metadata"]["name"]
            try:
                await self._cluster.delete(kind, body)
            except PermanentError as error:
                return [_refused(kind, name, error)]
            self._store.remove(kind, body)
            self._made.get(key, set()).discard(_child(kind, body["metadata"]))
            log.info("deleted", kind=kind.name, namespace=body["metadata"]["namespace"], name=name)
        return []


def _exact(manifest: Manifest, seen: Body) -> Manifest:
    return {**manifest, "metadata": {**manifest["metadata"], **seen}}


def _young(observed: Observed) -> bool:
    made = observed.sandbox.metadata.creation_timestamp
    return made is not None and (observed.now - made).total_seconds() < NAMESAKE_SECONDS


def _child(kind: Kind, metadata: Body) -> tuple[str, Kind, str]:
    """Return what tells a child from its namesake's: its owner's uid, its kind and its name."""
    return metadata["ownerReferences"][0]["uid"], kind, metadata["name"]


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
