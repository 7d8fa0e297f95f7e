"""What passed between the operator and the API server: every request, in order."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator, Mapping

WRITES = frozenset({"apply", "create", "delete", "patch", "update"})
_VERBS = {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}
_APPLY = "application/apply-patch"


@dataclasses.dataclass(slots=True)
class Call:
    """One request.

    Args:
        number: Its place in the record, from 0.
        verb: get, list, watch, or one of `WRITES`.
        kind: Plural of the kind, with the subresource after a slash.
        namespace: Of the object; empty for all.
        name: Of the object; empty for a collection.
        at: When it came, in monotonic seconds.
        reached: Whether it was passed on to the API server.
        status: What the operator got; 0 if nothing.
        fault: What was done to it.

    """

    number: int
    verb: str
    kind: str
    namespace: str
    name: str
    at: float
    reached: bool = False
    status: int = 0
    fault: str = ""

    @property
    def writes(self) -> bool:
        """Whether it changes something."""
        return self.verb in WRITES

    @property
    def what(self) -> str:
        """Verb and kind."""
        return f"{self.verb} {self.kind}"


class Record:
    """The requests of one operator."""

    def __init__(self) -> None:
        self.calls: list[Call] = []

    def __iter__(self) -> Iterator[Call]:
        return iter(self.calls)

    def begin(self, method: str, path: str, query: Mapping[str, str], content: str) -> Call:
        """Note a request that comes in."""
        kind, namespace, name = _target(path)
        verb = _verb(method, content, watch=query.get("watch") == "true", named=bool(name))
        call = Call(len(self.calls), verb, kind, namespace, name, time.monotonic())
        self.calls.append(call)
        return call

    def writes(self, *, lease: bool = False) -> list[Call]:
        """Return the writes that reached the API server, those of the Lease only if asked for."""
        return [
            each
            for each in self.calls
            if each.writes and each.reached and (lease or each.kind != "leases")
        ]


def _verb(method: str, content: str, *, watch: bool, named: bool) -> str:
    if method == "GET":
        return "watch" if watch else "get" if named else "list"
    return "apply" if content.startswith(_APPLY) else _VERBS[method]


def _target(path: str) -> tuple[str, str, str]:
    """Return kind, namespace and name that a path of the API is about."""
    parts = path.strip("/").split("/")
    parts = parts[2:] if parts[0] == "api" else parts[3:]
    namespace = ""
    if parts[:1] == ["namespaces"] and len(parts) > 2:
        namespace, parts = parts[1], parts[2:]
    kind, name, subresource = (*parts, "", "", "")[:3]
    return (f"{kind}/{subresource}" if subresource else kind), namespace, name
