"""What one plugin publishes for the others of its sandbox: bytes under a name, read-only."""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Protocol

Data = bytes | bytearray | memoryview


class SharingError(Exception):
    """Something cannot be published: over the limit, or not from here."""


class Shelf(Protocol):
    """Where published bytes are."""

    def publish(self, name: str, data: Data) -> None:
        """Put bytes there, in place of what had the name before; no bytes take it away."""

    def published(self, plugin: str, name: str) -> memoryview | None:
        """Return what a plugin published under a name; None if there is nothing."""


class NoShelf:
    """Of an instance that was made outside of any sandbox."""

    def publish(self, name: str, data: Data) -> None:
        """Refuse."""
        del data
        raise SharingError(f"{name!r} cannot be published: there is no sandbox around this plugin")

    def published(self, plugin: str, name: str) -> memoryview | None:
        """Find nothing."""
        del plugin, name
        return None


class MemoryShelf:
    """Of a test.

    Args:
        plugin: Who publishes.
        held: Plugin and name to what is published.

    """

    def __init__(self, plugin: str, held: MutableMapping[tuple[str, str], bytes]) -> None:
        self._plugin = plugin
        self._held = held

    def publish(self, name: str, data: Data) -> None:
        """Keep a copy."""
        self._held[self._plugin, name] = bytes(data)

    def published(self, plugin: str, name: str) -> memoryview | None:
        """Return a read-only view."""
        held = self._held.get((plugin, name))
        return memoryview(held) if held else None
