"""What somebody else did to a child of ours, and who it was: for the Event that tells of it."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from typing import Any

from pluginsandbox.controller.kinds import FIELD_MANAGER, Kind

_STEP = re.compile(r"([^.\[\]]+)|\[([^\]]*)\]")


@dataclasses.dataclass(frozen=True, slots=True)
class Repair:
    """A child that somebody else changed or deleted, and that was put right.

    Args:
        kind: Of the child.
        name: Of the child.
        fields: Paths that differed; the first few; none if it was deleted.
        manager: Field manager that changed it, if the API server knows.

    """

    kind: Kind
    name: str
    fields: tuple[str, ...] = ()
    manager: str = ""

    @property
    def note(self) -> str:
        """What to tell people."""
        what = f"{self.kind.name} {self.name}"
        if not self.fields:
            return f"{what} was deleted by somebody else and made again"
        who = self.manager or "somebody else"
        return f"{what} was changed by {who} and put right: {', '.join(self.fields)}"


def manager_of(body: Mapping[str, Any], fields: tuple[str, ...]) -> str:
    """Return the manager, other than us, that owns one of the fields, else the latest to change.

    Args:
        body: The object as the API server has it.
        fields: Paths as `drift.differences` names them.

    """
    others = [
        each
        for each in body["metadata"].get("managedFields") or ()
        if each.get("manager") != FIELD_MANAGER and not each.get("subresource")
    ]
    others.sort(key=lambda each: str(each.get("time", "")), reverse=True)
    owners = [
        each for each in others if any(_owns(each.get("fieldsV1") or {}, path) for path in fields)
    ]
    return str((owners or others or [{}])[0].get("manager", ""))


def _owns(owned: Mapping[str, Any], path: str) -> bool:
    at: list[Mapping[str, Any]] = [owned]
    for name, item in _STEP.findall(path):
        at = [inner for each in at for inner in _steps(each, name, item)]
    return bool(at)


def _steps(owned: Mapping[str, Any], name: str, item: str) -> list[Mapping[str, Any]]:
    """Return what is owned one step further down; an item of a list that is owned whole is it."""
    if not item:
        return [owned[f"f:{name}"]] if f"f:{name}" in owned else []
    items = [inner for key, inner in owned.items() if key.startswith(("k:", "v:"))]
    return items or [owned]
