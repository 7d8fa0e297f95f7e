"""How bindings ended that are gone, for as long as that is known. Pure data."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from pluginsandbox.host.contexts import Cause

Key = tuple[str, str, str]
"""Tenant, context, plugin."""


class Tombstone(msgspec.Struct, frozen=True):
    """How a binding ended."""

    cause: Cause
    generation: int
    detail: str = ""
    """How its worker died, for the next one to be told."""
    taken: tuple[int, int] = (0, 0)
    """Fence of the state that it was taken over with from another host."""


class Ends:
    """The last ends, by context and plugin.

    Two tables take turns. One that dropped an end for each that comes would be copied into a larger
    one again and again, and leave holes of a MiB in the host's memory.

    Args:
        most: How many are remembered at most; the last half of that always are.

    """

    def __init__(self, most: int) -> None:
        self._half = most // 2
        self._new: dict[Key, Tombstone] = {}
        self._old: dict[Key, Tombstone] = {}

    def put(self, key: Key, end: Tombstone) -> None:
        """Remember an end; it takes the place of an earlier one."""
        self._new[key] = end
        if len(self._new) >= self._half:
            self._old, self._new = self._new, {}

    def get(self, key: Key) -> Tombstone | None:
        """Return the last end, if it is still known."""
        return self._new.get(key) or self._old.get(key)
