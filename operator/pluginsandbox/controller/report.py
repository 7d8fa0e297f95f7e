"""Writes a status when it differs, and no more often than it must; and says what to announce.

- A new generation is answered at once.
- A change of Ready, Reconciling or Stalled, and once it is settled that of any condition, at most
  once a second.
- Anything less (counts, messages) waits until the rest is settled or `DETAIL_SECONDS` have passed,
  so that a sandbox from its birth until it is ready costs two writes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal

from pluginsandbox.api.conditions import ConditionType
from pluginsandbox.api.reasons import Reason
from pluginsandbox.api.status import SandboxStatus
from pluginsandbox.controller import kinds
from pluginsandbox.controller.cluster import Cluster
from pluginsandbox.controller.events import Announcement
from pluginsandbox.controller.kinds import Key
from pluginsandbox.controller.repair import Repair
from pluginsandbox.controller.store import Store
from pluginsandbox.controller.trim import Body

WRITE_SECONDS = 1.0
DETAIL_SECONDS = 10.0
Weight = Literal["generation", "change", "settled detail", "detail"]
_SUMMARY = frozenset({ConditionType.READY, ConditionType.RECONCILING, ConditionType.STALLED})
_QUIET = frozenset({Reason.ROLLING_OUT, Reason.STOPPING})
"""Reasons of Reconciling that are no trouble."""


class Reporter:
    """Writes statuses.

    Args:
        store: Takes in the server's answer.
        cluster: Where to write.
        clock: Monotonic seconds.

    """

    def __init__(self, store: Store, cluster: Cluster, clock: Callable[[], float]) -> None:
        self._store = store
        self._cluster = cluster
        self._clock = clock
        self._written: dict[Key, tuple[float, float]] = {}

    async def write(self, key: Key, body: Body, status: SandboxStatus) -> float | None:
        """Write the status unless it is as it was.

        Args:
            key: Of the sandbox.
            body: The sandbox as last seen.
            status: What it should say.

        Returns:
            Seconds until it may be written, if it is too early; else None.

        Raises:
            ControllerError: It could not be written; a conflict is a RetryError.

        """
        live, wanted = body.get("status") or {}, status.dump()
        if live == wanted:
            return None
        now = self._clock()
        changed_at, written_at = self._written.get(key, (float("-inf"), float("-inf")))
        match weight(live, wanted):
            case "generation":
                wait = 0.0
            case "change":
                wait = changed_at + WRITE_SECONDS - now
            case "settled detail":
                wait = written_at + WRITE_SECONDS - now
            case "detail":
                wait = written_at + DETAIL_SECONDS - now
        if wait > 0:
            return wait
        metadata = body["metadata"]
        answer = await self._cluster.patch_status(
            kinds.SANDBOX,
            key.namespace,
            key.name,
            patch(live, wanted),
            metadata["resourceVersion"],
        )
        # The answer to a new generation does not delay the change that comes of it.
        generation = live.get("observedGeneration") != wanted.get("observedGeneration")
        self._written[key] = (changed_at if generation else now, now)
        self._store.put(kinds.SANDBOX, answer)
        return None

    def forget(self, key: Key) -> None:
        """Drop what is known of a sandbox that is gone."""
        self._written.pop(key, None)


def weight(live: Mapping[str, Any], wanted: Mapping[str, Any]) -> Weight:
    """Return what kind of change leads from one status to another."""
    if live.get("observedGeneration") != wanted.get("observedGeneration"):
        return "generation"
    settled = _reason(wanted, ConditionType.RECONCILING) == Reason.ROLLED_OUT
    if _marks(live, settled=settled) != _marks(wanted, settled=settled):
        return "change"
    return "settled detail" if settled else "detail"


def patch(live: Mapping[str, Any], wanted: Mapping[str, Any]) -> dict[str, Any]:
    """Return the merge patch that makes a status exactly `wanted`."""
    gone: dict[str, Any] = {name: None for name in live if name not in wanted}
    return gone | {name: value for name, value in wanted.items() if live.get(name) != value}


def announcements(
    live: Mapping[str, Any], wanted: Mapping[str, Any], repairs: tuple[Repair, ...]
) -> list[Announcement]:
    """Return what people should learn: new trouble, its end, and drift that was put right.

    A sandbox that comes up without trouble announces nothing: its conditions say it.
    """
    found = [_repaired(each) for each in repairs]
    trouble, was = _trouble(wanted), _trouble(live)
    if trouble is not None and (was is None or was["reason"] != trouble["reason"]):
        found.append(
            Announcement("Warning", trouble["reason"], "Reconcile", trouble.get("message", ""))
        )
    if was is not None and trouble is None:
        found.append(Announcement("Normal", "Recovered", "Reconcile", f"{was['reason']} is over"))
    return found


def _repaired(repair: Repair) -> Announcement:
    return Announcement("Warning", "DriftRepaired", "Apply", repair.note)


def _trouble(status: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return the condition that tells of trouble, if there is any."""
    stalled = _condition(status, ConditionType.STALLED)
    if stalled.get("status") == "True":
        return stalled
    reconciling = _condition(status, ConditionType.RECONCILING)
    if reconciling.get("status") == "True" and reconciling.get("reason") not in _QUIET:
        return reconciling
    ready = _condition(status, ConditionType.READY)
    return ready if ready.get("status") == "False" else None


def _marks(status: Mapping[str, Any], *, settled: bool) -> dict[str, tuple[str, str]]:
    """Return what makes a change: of a roll-out, only the three conditions that kstatus reads."""
    return {
        each["type"]: (each["status"], each["reason"] if each["type"] in _SUMMARY else "")
        for each in status.get("conditions") or ()
        if settled or each["type"] in _SUMMARY
    }


def _condition(status: Mapping[str, Any], kind: ConditionType) -> Mapping[str, Any]:
    conditions = status.get("conditions") or ()
    return next((each for each in conditions if each.get("type") == kind), {})


def _reason(status: Mapping[str, Any], kind: ConditionType) -> str:
    return str(_condition(status, kind).get("reason", ""))
