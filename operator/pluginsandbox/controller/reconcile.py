"""One reconcile of one sandbox: observe, decide, apply, report. Level-triggered.

It acts on how things are, never on what happened; it may be called at any time, any number of
times, and says when it wants to be called again.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections import OrderedDict

import structlog
from pydantic import ValidationError

from pluginsandbox.api import problems
from pluginsandbox.api.reasons import Reason
from pluginsandbox.api.sandbox import PluginSandbox
from pluginsandbox.api.status import SandboxStatus
from pluginsandbox.controller import explain, kinds, rollout, status
from pluginsandbox.controller.apply import Applied, Applier
from pluginsandbox.controller.children.deployment import STALL_SECONDS, template_hash
from pluginsandbox.controller.clocks import Clocks
from pluginsandbox.controller.cluster import NOT_FOUND
from pluginsandbox.controller.decide import Decision, decide
from pluginsandbox.controller.errors import PermanentError
from pluginsandbox.controller.events import Recorder
from pluginsandbox.controller.kinds import Key
from pluginsandbox.controller.observe import Observer
from pluginsandbox.controller.observed import Observed, Problem
from pluginsandbox.controller.report import Reporter, announcements
from pluginsandbox.controller.settings import Settings
from pluginsandbox.controller.status import Standing
from pluginsandbox.controller.store import Store
from pluginsandbox.controller.timeline import Timeline
from pluginsandbox.controller.trim import Body
from pluginsandbox.telemetry.operator_metrics import OperatorMetrics

log = structlog.get_logger()

RESYNC_SECONDS = 120.0
BLOCKED_SECONDS = 15.0
"""A cause that no watch tells of is looked at again so often, at first more often."""
FIRST_BLOCKED_SECONDS = 1.0
SOON_SECONDS = 2.0
MODELS = 256
"""Sandboxes that stay read: those at rest are read again when they are looked at."""
JUMP_SECONDS = 2.0
"""By more than this no clock strays between two reconciles: somebody has set it."""


@dataclasses.dataclass(slots=True)
class _Memory:
    """What is remembered of a sandbox between reconciles; a restart may lose it."""

    uid: str
    rollout: rollout.Memory = dataclasses.field(default_factory=rollout.Memory)
    timeline: Timeline | None = None
    blocked: int = 0

    def shift(self, jump: dt.timedelta) -> None:
        """Move the moments that are remembered with the clock that they were read from."""
        self.rollout.shift(jump)
        if self.timeline is not None:
            self.timeline.shift(jump)


class Reconciler:
    """Reconciles sandboxes.

    Args:
        store: What is watched.
        observer: Looks.
        applier: Writes children.
        reporter: Writes statuses.
        recorder: Posts Events.
        settings: The administrator's configuration.
        metrics: Of the operator.
        clocks: Of this machine.

    """

    def __init__(
        self,
        *,
        store: Store,
        observer: Observer,
        applier: Applier,
        reporter: Reporter,
        recorder: Recorder,
        settings: Settings,
        metrics: OperatorMetrics,
        clocks: Clocks,
    ) -> None:
        self._store = store
        self._observer = observer
        self._applier = applier
        self._reporter = reporter
        self._recorder = recorder
        self._settings = settings
        self._metrics = metrics
        self._clocks = clocks
        self._zero = clocks.zero()
        self._memories: dict[Key, _Memory] = {}
        self._models: OrderedDict[tuple[str, int], PluginSandbox] = OrderedDict()

    async def reconcile(self, key: Key) -> float | None:
        """Bring one sandbox closer to its spec.

        Returns:
            Seconds after which to call again, or None if the sandbox is gone.

        Raises:
            ControllerError: It could not be done; call again after a back-off.

        """
        body = self._store.get(kinds.SANDBOX, key.namespace, key.name)
        if body is None:
            self._forget(key)
            return None
        if "deletionTimestamp" in body["metadata"]:
            return RESYNC_SECONDS  # its children go with it: they are owned
        memory = self._remembered(key, str(body["metadata"].get("uid")))
        try:
            sandbox = self._model(body)
        except ValidationError as error:
            return await self._unreadable(key, body, problems.summarize(error))
        return await self._bring(key, sandbox, memory)

    async def trouble(self, key: Key, reason: Reason, message: str) -> None:
        """Say in the status that the operator itself cannot go on with a sandbox.

        Raises:
            ControllerError: That could not be written either.

        """
        body = self._store.get(kinds.SANDBOX, key.namespace, key.name)
        if body is None or "deletionTimestamp" in body["metadata"]:
            return
        wanted = status.trouble(
            body.get("status") or {},
            Problem(reason, explain.quote(message)),
            generation=body["metadata"].get("generation", 0),
            now=self._now(),
        )
        await self._report(key, wanted, Applied())

    async def _bring(self, key: Key, sandbox: PluginSandbox, memory: _Memory) -> float:
        seen_at = self._now()
        observed = await self._observer.observe(key, sandbox, seen_at)
        decision = decide(observed, self._settings)
        applied = await self._applier.apply(observed, decision)
        for repair in applied.repairs:
            self._metrics.repairs.labels(repair.kind.name).inc()
        written = dataclasses.replace(self._observer.again(observed), now=self._now())
        after = await self._observer.listen(written)
        blocking = (*decision.problems, *applied.problems)
        standing = rollout.standing(
            memory.rollout, after, decision, blocking, waiting=applied.waiting
        )
        wanted = status.report(after, decision, blocking, standing)
        self._time(memory, after, decision, seen_at)
        wait = await self._report(key, wanted, applied)
        self._measure(key, wanted)
        waits = [RESYNC_SECONDS, *_reasons_to_return(after, decision, applied, standing)]
        waits += [] if wait is None else [wait]
        waits += [BLOCKED_SECONDS] if self._observer.failing(key) else []
        memory.blocked = memory.blocked + 1 if blocking else 0
        if blocking:
            waits.append(
                min(FIRST_BLOCKED_SECONDS * 2.0 ** min(memory.blocked, 8), BLOCKED_SECONDS)
            )
        recheck = status.recheck_seconds(standing, wanted, after.now)
        return min(waits if recheck is None else [*waits, recheck])

    async def _report(self, key: Key, wanted: SandboxStatus, applied: Applied) -> float | None:
        """Write the status, then say what is new in it; return when to try again if too early."""
        body = self._store.get(kinds.SANDBOX, key.namespace, key.name)
        if body is None:
            return None
        live, dumped = body.get("status") or {}, wanted.dump()
        try:
            wait = await self._reporter.write(key, body, wanted)
        except PermanentError as error:
            if error.code != NOT_FOUND:
                raise
            self._store.remove(kinds.SANDBOX, body)  # it is gone, and no watch has told so yet
            return None
        written = wait is None and live != dumped
        if written:
            _log_status(key, wanted)
        news = announcements(live, dumped if written else live, applied.repairs)
        for each in news:
            self._recorder.announce(key, body["metadata"]["uid"], each)
        return wait

    async def _unreadable(self, key: Key, body: Body, message: str) -> float:
        generation = body["metadata"].get("generation", 0)
        wanted = status.unreadable(
            body.get("status") or {}, message, generation=generation, now=self._now()
        )
        wait = await self._report(key, wanted, Applied())
        return RESYNC_SECONDS if wait is None else wait

    def _time(
        self, memory: _Memory, after: Observed, decision: Decision, seen_at: dt.datetime
    ) -> None:
        """Follow a new generation on its way to Ready."""
        generation = after.sandbox.metadata.generation
        new = after.status.get("observedGeneration") != generation
        if new and (memory.timeline is None or memory.timeline.generation != generation):
            memory.timeline = Timeline(generation, seen_at) if decision.replicas else None
        if memory.timeline is None:
            return
        live = after.deployment
        applied = bool(decision.template) and live is not None
        applied = applied and template_hash(live or {}) == decision.template
        pods = explain.current_pods(after, decision.template)
        memory.timeline.note(pods, applied=applied, now=after.now)
        durations = memory.timeline.durations()
        for stage, seconds in durations.items():
            self._metrics.ready_duration.labels(stage).observe(seconds)
        if durations:
            log.info("ready", sandbox=str(after.key), generation=generation, seconds=durations)
            memory.timeline = None

    def _now(self) -> dt.datetime:
        """Return the time of day; if it was set, what was measured by it moves along."""
        zero = self._clocks.zero()
        jump = zero - self._zero
        if abs(jump.total_seconds()) > JUMP_SECONDS:
            log.warning("the clock was set", seconds=round(jump.total_seconds()))
            for memory in self._memories.values():
                memory.shift(jump)
        self._zero = zero
        return self._clocks.wall()

    def _measure(self, key: Key, wanted: SandboxStatus) -> None:
        self._metrics.desired_replicas.labels(*_labels(key)).set(wanted.desired_replicas or 0)
        self._metrics.ready_replicas.labels(*_labels(key)).set(wanted.ready_replicas or 0)

    def _remembered(self, key: Key, uid: str) -> _Memory:
        """Return what is remembered of a sandbox; nothing of a namesake that it took over from."""
        known = self._memories.get(key)
        if known is not None and known.uid != uid:
            self._forget(key)
        return self._memories.setdefault(key, _Memory(uid))

    def _model(self, body: Body) -> PluginSandbox:
        """Return the object as a model; reading one costs more than all that follows.

        Raises:
            ValidationError: It cannot be read.

        """
        metadata = body["metadata"]
        at = (str(metadata.get("uid")), int(metadata.get("generation", 0)))
        model = self._models.pop(at, None)
        if model is None:
            envelope = {"apiVersion": kinds.SANDBOX.api_version, "kind": kinds.SANDBOX.name}
            spec = {"metadata": metadata, "spec": body.get("spec") or {}}
            model = PluginSandbox.read(envelope | spec)
        self._models[at] = model
        if len(self._models) > MODELS:
            self._models.popitem(last=False)
        return model

    def _forget(self, key: Key) -> None:
        for part in (self._observer, self._applier, self._reporter):
            part.forget(key)
        if self._memories.pop(key, None) is not None:
            self._metrics.desired_replicas.remove(*_labels(key))
            self._metrics.ready_replicas.remove(*_labels(key))


def _labels(key: Key) -> tuple[str, str]:
    return key.namespace, key.name


def _reasons_to_return(
    after: Observed,
    decision: Decision,
    applied: Applied,
    standing: Standing,
) -> list[float]:
    """Return in how many seconds to look again at what no watch tells of."""
    waits = []
    leftover = {each["metadata"]["name"] for each in after.snapshots} - {decision.snapshot}
    if applied.waiting or (leftover and standing.rolled_out):
        waits.append(SOON_SECONDS)
    for pod in explain.current_pods(after, decision.template):
        young = (after.now - standing.since).total_seconds() < STALL_SECONDS
        if not explain.is_ready(pod):
            waits.append(SOON_SECONDS if young and explain.running(pod) else BLOCKED_SECONDS)
        elif pod["metadata"]["uid"] not in after.stats:
            waits.append(BLOCKED_SECONDS)
    return waits


def _log_status(key: Key, wanted: SandboxStatus) -> None:
    ready, reconciling, stalled = (each for each in wanted.conditions[:3])
    log.info(
        "status",
        sandbox=str(key),
        generation=wanted.observed_generation,
        ready=ready.status,
        reason=ready.reason,
        reconciling=reconciling.reason,
        stalled=stalled.reason,
        message=ready.message,
    )
