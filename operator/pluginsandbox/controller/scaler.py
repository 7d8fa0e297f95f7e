"""Lets the number of pods follow the load: once a second for each sandbox that asks for it.

It decides and tells; `reconcile` writes. What it knows comes back after a restart: the seconds from
the hosts, how long a pod takes to start from the pods. Only the leader looks.
"""

from __future__ import annotations

import asyncio
import dataclasses
import datetime as dt
import functools
from collections.abc import Callable

import structlog
from pydantic import ValidationError

from pluginsandbox.api.sandbox import REVISION_ANNOTATION
from pluginsandbox.api.scaling import Scaling
from pluginsandbox.api.status import LastDecision
from pluginsandbox.autoscaler.core import Autoscaler, Seen
from pluginsandbox.autoscaler.decide import Answer, Direction, Limit, Pods
from pluginsandbox.autoscaler.record import inputs
from pluginsandbox.autoscaler.sample import history
from pluginsandbox.controller import explain, kinds, leaving, pod_counts
from pluginsandbox.controller.decisions import Decisions, described
from pluginsandbox.controller.events import Announcement
from pluginsandbox.controller.kinds import Key
from pluginsandbox.controller.load_reader import LoadReader, Told, asked, newest
from pluginsandbox.controller.observed import Scaled
from pluginsandbox.controller.store import Life, Store
from pluginsandbox.controller.trim import Body
from pluginsandbox.telemetry.operator_metrics import OperatorMetrics

log = structlog.get_logger()

PERIOD_SECONDS = 1.0
AFTER_SECONDS = 0.1
"""Past the whole second. Hosts close theirs at it, so the sample is as new as can be."""


@dataclasses.dataclass(slots=True)
class _State:
    """What is known of one sandbox."""

    policy: Scaling
    core: Autoscaler
    answer: Answer | None = None
    scaled: Scaled | None = None
    contexts: dict[str, int] = dataclasses.field(default_factory=dict)
    """Of each pod, by its uid, as last told."""


class Scaler:
    """Decides for all sandboxes.

    Args:
        store: What is watched.
        metrics: Of the operator.
        decisions: Where they are kept.
        wall: The time of day.
        wanted: Asks for a reconcile of a sandbox.
        announce: Posts an Event about the sandbox of a key and uid.

    """

    def __init__(
        self,
        store: Store,
        metrics: OperatorMetrics,
        decisions: Decisions,
        *,
        wall: Callable[[], dt.datetime],
        wanted: Callable[[Key], None],
        announce: Callable[[Key, str, Announcement], None],
    ) -> None:
        self._store = store
        self._metrics = metrics
        self._decisions = decisions
        self._wall = wall
        self._wanted = wanted
        self._announce = announce
        self._reader = LoadReader()
        self._policies: dict[Key, tuple[tuple[str, int], Scaling | None]] = {}
        self._states: dict[Key, _State] = {}
        self._looking: dict[Key, asyncio.Task[None]] = {}

    def scaled(self, key: Key) -> Scaled | None:
        """Return what is decided; None where the autoscaler is off or has not looked yet."""
        state = self._states.get(key)
        return state.scaled if state else None

    async def run(self, leading: Callable[[], bool]) -> None:
        """Look once a second until cancelled.

        Args:
            leading: Whether this process acts; while it does not it knows nothing.

        """
        try:
            while True:
                if leading():
                    self._look_around()
                else:
                    self._states.clear()
                await asyncio.sleep(until_next(self._wall()))
        finally:
            for task in self._looking.values():
                task.cancel()
            await asyncio.gather(*self._looking.values(), return_exceptions=True)
            await self._reader.close()

    def _look_around(self) -> None:
        sandboxes = self._store.sandboxes()
        for key in self._policies.keys() - sandboxes.keys():
            self._forget(key)
        for key, life in sandboxes.items():
            policy = None if life.leaving else self._policy(key, life)
            if policy is None:
                self._states.pop(key, None)
            elif key not in self._looking:  # its hosts take long: the others do not wait for them
                task = asyncio.create_task(self._look(key, policy))
                self._looking[key] = task
                task.add_done_callback(functools.partial(self._looked, key))

    def _looked(self, key: Key, task: asyncio.Task[None]) -> None:
        self._looking.pop(key, None)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("scaling failed", sandbox=str(key), exc_info=error)

    def _policy(self, key: Key, life: Life) -> Scaling | None:
        """Return by what the load decides; None where it does not."""
        at = (life.uid, life.generation)
        if self._policies.get(key, (None,))[0] != at:
            body = self._store.get(kinds.SANDBOX, key.namespace, key.name) or {}
            self._policies[key] = (at, _read_policy(body))
        return self._policies[key][1]

    async def _look(self, key: Key, policy: Scaling) -> None:
        """Decide for one sandbox from what its hosts say now."""
        ready = [
            pod
            for pod in self._store.owned(kinds.POD, key)
            if explain.is_ready(pod) and pod["status"].get("podIP")
        ]
        some = asked(ready, self._now())
        told = await self._reader.read(some, self._now())
        live = self._store.get(kinds.DEPLOYMENT, key.namespace, key.name)
        body = self._store.get(kinds.SANDBOX, key.namespace, key.name)
        if live is None or body is None:
            return
        now = self._wall()
        pods = pod_counts.count(live, self._store.owned(kinds.POD, key), now)
        pods = self._before_policy(key, policy, pods)
        state = self._state(key, policy, told, len(ready), pods.start_milliseconds)
        sample = newest(told, asked=len(some), pods=len(ready))
        told_now = {uid: samples[-1].contexts for uid, samples in told.items()}
        uids = {pod["metadata"]["uid"] for pod in ready}
        state.contexts = {uid: n for uid, n in (state.contexts | told_now).items() if uid in uids}
        seen = state.core.tick(int(now.timestamp()), sample, pods)
        self._take(key, body, state, seen)

    def _before_policy(self, key: Key, policy: Scaling, pods: Pods) -> Pods:
        """Return the pods as they were wanted before a new policy.

        Its bounds may hold already, by a reconcile that came first; to keep them is a step all the
        same, and Git's.
        """
        state = self._states.get(key)
        if state is None or state.policy == policy or state.answer is None:
            return pods
        return dataclasses.replace(pods, requested=state.answer.desired)

    def _state(
        self, key: Key, policy: Scaling, told: Told, pods: int, start_milliseconds: int
    ) -> _State:
        """Return what is known; without a known second the hosts' own are taken."""
        state = self._states.get(key)
        samples = state.core.samples if state else ()
        if state is None or state.policy != policy or not samples:
            known = samples or history(told, pods=pods)
            core = Autoscaler(policy, known, start_milliseconds=start_milliseconds)
            answer, scaled = (state.answer, state.scaled) if state else (None, None)
            contexts = state.contexts if state else {}
            state = self._states[key] = _State(policy, core, answer, scaled, contexts)
        return state

    def _take(self, key: Key, body: Body, state: _State, seen: Seen) -> None:
        """Take in an answer: let it be carried out, and told if it is a decision."""
        answer, blind = seen.answer, seen.facts.need is None
        before, state.answer = state.answer, answer
        last = state.scaled.last if state.scaled else None
        news = answer != before and not (before is None and answer.direction is Direction.HOLD)
        if news:
            last = self._tell(key, body, seen) or last
        limit = "" if answer.limit is Limit.NONE else str(answer.limit)
        scaled = Scaled(
            policy=state.policy,
            desired=answer.desired,
            limit=limit,
            blind=blind,
            last=last,
            leaving=self._leaving(key, state, seen),
        )
        if scaled != state.scaled:
            state.scaled = scaled
            self._wanted(key)

    def _leaving(self, key: Key, state: _State, seen: Seen) -> tuple[str, ...]:
        surplus = seen.facts.pods.requested - seen.answer.desired
        pods = self._store.owned(kinds.POD, key) if surplus > 0 else ()
        return leaving.fewest(pods, state.contexts, surplus)

    def _tell(self, key: Key, body: Body, seen: Seen) -> LastDecision | None:
        """Say what was decided; return it if it is a step."""
        annotations = body["metadata"].get("annotations") or {}
        revision = str(annotations.get(REVISION_ANNOTATION, ""))[:256]
        answer = seen.answer
        self._decisions.add(key, seen, revision)
        self._metrics.scale_decisions.labels(answer.direction, answer.reason).inc()
        log.info("scale decision", sandbox=str(key), **described(seen, revision))
        if answer.direction is Direction.HOLD:
            return None
        if seen.samples:
            lag = self._wall().timestamp() - seen.samples[-1].time
            self._metrics.scale_decision_lag.observe(max(0.0, lag))
        word = f"Scaled{answer.direction}"
        note = f"by {answer.reason}; status.scaling.lastDecision has the numbers"
        self._announce(key, body["metadata"]["uid"], Announcement("Normal", word, "Scale", note))
        return _last(seen, revision)

    def _forget(self, key: Key) -> None:
        self._policies.pop(key, None)
        self._states.pop(key, None)
        self._decisions.forget(key)

    def _now(self) -> int:
        return int(self._wall().timestamp())


def until_next(now: dt.datetime) -> float:
    """Return the seconds until the next look; one that came early does not come twice."""
    return PERIOD_SECONDS + AFTER_SECONDS - now.microsecond / 1e6


def _last(seen: Seen, revision: str) -> LastDecision:
    answer = seen.answer
    return LastDecision(
        time=dt.datetime.fromtimestamp(seen.facts.now, dt.UTC),
        before=seen.facts.pods.requested,
        to=answer.desired,
        reason=answer.reason,
        limited_by=answer.limit,
        inputs=inputs(seen),
        revision=revision or None,
    )


def _read_policy(body: Body) -> Scaling | None:
    spec = body.get("spec") or {}
    if spec.get("replicas") is not None or spec.get("operatingMode") == "Suspended":
        return None
    try:
        policy = Scaling.model_validate(spec["scaling"])
    except (KeyError, ValidationError):
        return None
    return policy if policy.on else None
