"""Heads that a door has read before: what a client sends again and again is mostly the same bytes.

What a head says, and whether it is taken, depends on nothing but its bytes. So one that was read,
checked and admitted, and whose body ended where it said, need not be read again. Pure.
"""

from __future__ import annotations

from pluginsandbox.host.http_head import CHUNKED, Head

# About 2 MiB when full.
HEADS = 1024
LARGEST_BYTES = 1024
# A head with any other header is forgotten: traces differ each time, credentials are not ours.
ORDINARY = frozenset(
    {
        *(b"accept", b"accept-encoding", b"connection", b"content-length", b"content-type"),
        *(b"host", b"sandbox-bind", b"sandbox-context", b"sandbox-timeout-ms", b"user-agent"),
    }
)


class KnownHeads:
    """What one door remembers."""

    def __init__(self) -> None:
        self._heads: dict[bytes, Head] = {}
        self.get = self._heads.get
        """Return the head that these bytes were read as; None if they are not known."""

    def keep(self, block: bytes, head: Head) -> None:
        """Remember a head that was admitted.

        Args:
            block: From its first byte to the empty line, that included.
            head: What was read from it.

        """
        if head.length == CHUNKED or len(block) > LARGEST_BYTES or head.headers.keys() - ORDINARY:
            return
        if len(self._heads) >= HEADS:
            self._heads.clear()
        self._heads[block] = head
