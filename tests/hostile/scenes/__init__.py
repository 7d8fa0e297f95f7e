"""Attacks that take more than one call: each returns what got through, or nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from tests.hostile.door import Answer

if TYPE_CHECKING:
    from tests.hostile.arena import Arena

Scene = Callable[["Arena"], str]


def live(arena: Arena, plugin: str, context: str) -> Answer:
    """Count on in a binding that must still be there."""
    named = {"Sandbox-Context": context, "Sandbox-Bind": "existing"}
    return arena.door.send(plugin, "add", named, {})
