"""What is read of an event of a watch: the rest, most of all managedFields, is skipped unread.

A dozen events tell of a new sandbox; making dictionaries of all that they hold costs three times as
much as this, and the garbage that it makes costs again.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Generic, TypeVar

import msgspec
from typing_extensions import TypedDict

from pluginsandbox.controller import kinds
from pluginsandbox.controller.kinds import Kind


class _Metadata(TypedDict, total=False):
    name: Any
    namespace: Any
    uid: Any
    resourceVersion: Any
    generation: Any
    labels: Any
    annotations: Any
    ownerReferences: Any
    creationTimestamp: Any
    deletionTimestamp: Any


class _Status(TypedDict, total=False):
    """What comes in place of an object when the server ends a watch with an error."""

    code: Any
    message: Any


class _Object(_Status, total=False):
    metadata: _Metadata
    spec: Any
    status: Any
    data: Any
    binaryData: Any
    immutable: Any


class _Container(TypedDict, total=False):
    name: Any
    ready: Any
    started: Any
    restartCount: Any
    state: Any
    lastState: Any


class _PodStatus(TypedDict, total=False):
    phase: Any
    reason: Any
    message: Any
    podIP: Any
    conditions: Any
    startTime: Any
    containerStatuses: list[_Container]


class _Pod(_Status, total=False):
    metadata: _Metadata
    status: _PodStatus | str  # of an error it is a word


ObjectT = TypeVar("ObjectT")


class WatchEvent(msgspec.Struct, Generic[ObjectT]):
    """One event of a watch.

    Args:
        type: ADDED, MODIFIED, DELETED, BOOKMARK or ERROR.
        object: As it is now, or was; of a bookmark its resourceVersion alone; or the error.

    """

    type: str
    object: ObjectT


_ANY = msgspec.json.Decoder(WatchEvent[_Object])
_OF_KIND: Mapping[Kind, Any] = {kinds.POD: msgspec.json.Decoder(WatchEvent[_Pod])}


def read(kind: Kind, line: bytes) -> WatchEvent[dict[str, Any]]:
    """Return the event that a line of a watch tells.

    Raises:
        msgspec.DecodeError: It is no event.

    """
    event: WatchEvent[dict[str, Any]] = _OF_KIND.get(kind, _ANY).decode(line)
    return event
