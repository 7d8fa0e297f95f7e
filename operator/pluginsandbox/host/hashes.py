"""What a context is called in logs and lists: never by its own name."""

from __future__ import annotations

import hashlib
import hmac
import secrets

from pluginsandbox.host.contexts import Context

DIGITS = 16


class Hasher:
    """HMACs of context ids under a key that lives and dies with this process.

    Args:
        key: 32 random bytes unless given.

    """

    def __init__(self, key: bytes | None = None) -> None:
        self._key = key or secrets.token_bytes(32)

    def of(self, context: Context) -> str:
        """Return the first 16 hex digits of the HMAC-SHA-256 of a context's tenant and id."""
        name = f"{context.tenant}/{context.name}".encode()
        return hmac.new(self._key, name, hashlib.sha256).hexdigest()[:DIGITS]
