"""The keys that the members of a group share: files of a Secret, read again when they change."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import structlog

KEY, PREVIOUS = "key", "previous"
MIN_BYTES = 16

log = structlog.get_logger(__name__)


class Keys:
    """The newest key, and the one before it while that is being replaced.

    Args:
        directory: Where the kubelet mounts the Secret; may be empty, or not there.

    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self.all: tuple[bytes, ...] = ()
        """`key`, then `previous`; empty as long as there never was a key."""
        self.on_first: Callable[[], None] = lambda: None
        """Told when there is a key for the first time."""

    def refresh(self) -> bool:
        """Read the files; return whether there is something new. Keys that vanish are kept."""
        found = tuple(key for key in map(self._read, (KEY, PREVIOUS)) if key)
        if not found or found == self.all:
            return False
        first, self.all = not self.all, found
        if first:
            self.on_first()
        log.info("keys of the peers read", keys=len(found))
        return True

    def _read(self, name: str) -> bytes:
        try:
            key = (self._directory / name).read_bytes()
        except OSError:
            return b""
        if len(key) < MIN_BYTES:
            log.error("a key of the peers is too short", file=name, bytes=len(key), least=MIN_BYTES)
            return b""
        return key
