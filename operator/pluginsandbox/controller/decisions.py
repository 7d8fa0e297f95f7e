"""The last decisions of the autoscaler, by sandbox: kept in memory, told to whoever asks."""

from __future__ import annotations

import dataclasses
import zlib
from collections import OrderedDict, defaultdict, deque
from typing import Any

import msgspec

from pluginsandbox.autoscaler import record
from pluginsandbox.autoscaler.core import Seen
from pluginsandbox.autoscaler.record import inputs, sentence
from pluginsandbox.controller.kinds import Key

KEPT = 100
RECORD_BYTES = 16 << 20
"""Of the records of all sandboxes, compressed; one is 1 to 2 KiB."""
LEVEL = 1


@dataclasses.dataclass(slots=True, eq=False)
class _Kept:
    line: bytes
    record: bytes
    """Compressed; empty where older records had to make room."""


class Decisions:
    """Decisions, the last 100 of each sandbox.

    Args:
        record_bytes: For what they were made from; above that the oldest lose it first.

    """

    def __init__(self, record_bytes: int = RECORD_BYTES) -> None:
        self._kept: dict[Key, deque[_Kept]] = defaultdict(lambda: deque(maxlen=KEPT))
        self._recorded: OrderedDict[_Kept, None] = OrderedDict()
        """Oldest first."""
        self._room = record_bytes

    def add(self, key: Key, seen: Seen, revision: str) -> None:
        """Keep one, with all that it was made from."""
        line = msgspec.json.encode(described(seen, revision))
        kept = _Kept(line, zlib.compress(record.encode(seen), LEVEL))
        mine = self._kept[key]
        if len(mine) == KEPT:
            self._drop(mine[0])
        mine.append(kept)
        self._recorded[kept] = None
        self._room -= len(kept.record)
        while self._room < 0:
            self._drop(next(iter(self._recorded)))

    def document(self, key: Key) -> bytes:
        """Return those of a sandbox as JSON: one list, oldest first."""
        return b'{"decisions":[' + b",".join(each.line for each in self._of(key)) + b"]}"

    def records(self, key: Key) -> bytes:
        """Return what those of a sandbox were made from, as JSON: one list, oldest first."""
        found = (zlib.decompress(each.record) for each in self._of(key) if each.record)
        return b'{"records":[' + b",".join(found) + b"]}"

    def forget(self, key: Key) -> None:
        """Drop what is known of a sandbox that is gone."""
        for each in self._kept.pop(key, ()):
            self._drop(each)

    def _of(self, key: Key) -> deque[_Kept]:
        return self._kept.get(key) or deque()

    def _drop(self, kept: _Kept) -> None:
        self._recorded.pop(kept, None)
        self._room += len(kept.record)
        kept.record = b""


def described(seen: Seen, revision: str) -> dict[str, Any]:
    """Return a decision with all its inputs."""
    answer = seen.answer
    return {
        "time": seen.facts.now,
        "from": seen.facts.pods.requested,
        "to": answer.desired,
        "direction": answer.direction,
        "reason": answer.reason,
        "limitedBy": answer.limit,
        "schedule": answer.schedule,
        "revision": revision,
        "inputs": inputs(seen),
        "sentence": sentence(seen),
    }
