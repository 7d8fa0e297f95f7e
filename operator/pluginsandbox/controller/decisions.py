"""The last decisions of the autoscaler, by sandbox: kept in memory, told to whoever asks."""

from __future__ import annotations

from collections import defaultdict, deque
from typing import Any

import msgspec

from pluginsandbox.autoscaler.core import Seen
from pluginsandbox.autoscaler.record import inputs, sentence
from pluginsandbox.controller.kinds import Key

KEPT = 100


class Decisions:
    """Decisions, the last 100 of each sandbox."""

    def __init__(self) -> None:
        self._lines: dict[Key, deque[bytes]] = defaultdict(lambda: deque(maxlen=KEPT))

    def add(self, key: Key, seen: Seen, revision: str) -> None:
        """Keep one."""
        self._lines[key].append(msgspec.json.encode(described(seen, revision)))

    def document(self, key: Key) -> bytes:
        """Return those of a sandbox as JSON: one list, oldest first."""
        return b'{"decisions":[' + b",".join(self._lines.get(key, ())) + b"]}"

    def forget(self, key: Key) -> None:
        """Drop what is known of a sandbox that is gone."""
        self._lines.pop(key, None)


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
