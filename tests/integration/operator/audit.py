"""What the operator wrote, as the API server's own audit log has it."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path

from pluginsandbox.controller.kinds import FIELD_MANAGER

_OWN = f"fieldManager={FIELD_MANAGER}"
_DELETED = frozenset({"configmaps", "networkpolicies"})
"""What the operator deletes; a DELETE names no field manager."""


@dataclasses.dataclass(frozen=True)
class Write:
    """One request that the API server answered.

    Args:
        verb: create, patch or delete.
        what: `resource` or `resource/subresource`.
        name: Of the object.
        code: HTTP status of the answer.

    """

    verb: str
    what: str
    name: str
    code: int


def writes(log: Path, namespace: str) -> list[Write]:
    """Return the operator's writes in a namespace in the order of their arrival.

    Its Lease is left out, and so are its events.
    """
    return [each for each in _read(log, namespace) if each.what not in {"leases", "events"}]


def _read(log: Path, namespace: str) -> Iterator[Write]:
    entries = [json.loads(line) for line in log.read_text().splitlines()]
    for entry in sorted(entries, key=lambda each: str(each["requestReceivedTimestamp"])):
        at = entry.get("objectRef") or {}
        if at.get("namespace") != namespace or entry.get("userAgent") != FIELD_MANAGER:
            continue
        if _OWN in entry["requestURI"] or (
            entry["verb"] == "delete" and at["resource"] in _DELETED
        ):
            parts = (at["resource"], at.get("subresource"))
            yield Write(
                entry["verb"],
                "/".join(part for part in parts if part),
                at.get("name", ""),
                entry["responseStatus"]["code"],
            )
