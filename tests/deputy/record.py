"""What a try is: one record with what the author does, what stops it, and how that is seen."""

from __future__ import annotations

import dataclasses
from typing import Any

from tests.unit.api.objects import sandbox

SCHEMA = "the kind's schema"
"""The API server refuses the object for what the kind says of it."""
SERVER = "the API server itself"
"""It refuses the request: the author's RBAC, its limits, its own checks."""
PRUNED = "no such field"
"""The object is taken, and the field is dropped."""
GRANT = "the administrator's leave"
"""Stalled, NotAllowed: the message names the field and the chart value; no pod is made."""
OPERATOR = "the operator's own check"
"""Stalled or waiting, for a reason that the message names; no pod is made."""
NOTHING = "nothing to gain"
"""It is done, and is worth no more than any sandbox of the author's own."""
STOPS = (SCHEMA, SERVER, GRANT, OPERATOR, PRUNED, NOTHING)
REFUSING = frozenset({SCHEMA, SERVER, GRANT, OPERATOR})

SNAPSHOT = "$SNAPSHOT"
"""Stands for the name of another sandbox's snapshot, which is not known before the run."""


@dataclasses.dataclass(frozen=True)
class Request:
    """What the author sends instead of an object of a sandbox.

    Args:
        method: Of HTTP.
        path: `$HERE`, `$THERE` and `$SANDBOX` stand for the author's namespace, another one, and
            the path of a sandbox that the author has.
        body: As it is sent; a dictionary as JSON.
        content: Its type.

    """

    method: str
    path: str
    body: bytes | dict[str, Any]
    content: str = "application/json"


@dataclasses.dataclass(frozen=True)
class Try:
    """One try.

    Args:
        name: What it tries, as a sentence without subject.
        stop: What stops it, one of `STOPS`.
        changes: What `tests.unit.api.objects.sandbox` takes.
        says: What the refusal says, in part; for `GRANT` the field. For what is taken and has no
            Deployment, nothing.
        request: Sent instead of an object that is made from `changes`.
        deploys: Whether a Deployment must come of it, where it is taken.

    """

    name: str
    stop: str
    changes: dict[str, Any] = dataclasses.field(default_factory=dict)
    says: str = ""
    request: Request | None = None
    deploys: bool = True

    def body(self, name: str, snapshot: str) -> dict[str, Any]:
        """Return the object to create, under this name unless the try has one of its own."""
        made = sandbox(**{"metadata.name": name, "metadata.namespace": None} | self.changes)
        made["metadata"] = {key: value for key, value in made["metadata"].items() if value}
        filled: dict[str, Any] = _filled(made, snapshot)
        return filled


def _filled(value: Any, snapshot: str) -> Any:
    match value:
        case dict():
            return {key: _filled(each, snapshot) for key, each in value.items()}
        case list():
            return [_filled(each, snapshot) for each in value]
        case str():
            return value.replace(SNAPSHOT, snapshot)
        case _:
            return value
