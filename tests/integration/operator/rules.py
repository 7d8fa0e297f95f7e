"""What must be true of every status that is ever written: kstatus' rules and the API's own.

Tools that wait (kubectl wait, Argo CD, Flux, Helm) act on a status the moment it is there, so a
state that lasts for a tenth of a second counts as much as the last one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pluginsandbox.api.reasons import Reason

Status = Mapping[str, Any]
Conditions = dict[str, dict[str, Any]]


def kstatus(status: Status, generation: int) -> str:
    """Return what cli-utils' kstatus computes: its rules, in its order."""
    conditions = {each["type"]: each["status"] for each in status.get("conditions", ())}
    if status.get("observedGeneration") != generation:
        return "InProgress"
    if conditions.get("Reconciling") == "True":
        return "InProgress"
    if conditions.get("Stalled") == "True":
        return "Failed"
    return "Current" if conditions.get("Ready", "True") == "True" else "InProgress"


def broken(before: Status, after: Status, generation: int) -> Iterator[str]:
    """Yield the rules that a status breaks.

    Args:
        before: The status that it replaces.
        after: The status.
        generation: Of the object when it was written.

    """
    old, new = _by_type(before), _by_type(after)
    states = {kind: each["status"] for kind, each in new.items()}
    if len(new) != len(after.get("conditions", ())):
        yield "a type of condition occurs twice"
    if not {"Ready", "Reconciling", "Stalled"} <= states.keys():
        yield "a condition that kstatus reads is missing"
        return
    if states["Reconciling"] == states["Stalled"] == "True":
        yield "Reconciling and Stalled are both True"
    if "True" in (states["Reconciling"], states["Stalled"]) and states["Ready"] == "True":
        yield "Ready is True although it is Reconciling or Stalled"
    if after.get("observedGeneration", -1) > generation:
        yield "observedGeneration is ahead of the object"
    if after.get("observedGeneration", -1) < before.get("observedGeneration", -1):
        yield "observedGeneration went back"
    current = after.get("observedGeneration") == generation
    if (kstatus(after, generation) == "Current") != (current and states["Ready"] == "True"):
        yield "kstatus and Ready disagree"
    for kind, each in new.items():
        yield from (f"{kind}: {rule}" for rule in _of_condition(old.get(kind), each))


def _of_condition(old: dict[str, Any] | None, new: dict[str, Any]) -> Iterator[str]:
    if new["reason"] not in set(Reason):
        yield f"{new['reason']} is not of the closed list"
    if not new.get("lastTransitionTime"):
        yield "it has no time"
    elif old is not None:
        moved = new["lastTransitionTime"] != old["lastTransitionTime"]
        if moved and new["status"] == old["status"]:
            yield "its time moved without its status"
        if new["lastTransitionTime"] < old["lastTransitionTime"]:
            yield "its time went back"


def _by_type(status: Status) -> Conditions:
    return {each["type"]: each for each in status.get("conditions", ())}
