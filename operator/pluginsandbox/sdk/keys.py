"""Names of a plugin's state: hashed once at load, never on a call."""

from __future__ import annotations

import hashlib

KEY_DIGITS = 16


def plugin_key(namespace: str, sandbox: str, plugin: str) -> str:
    """Return the key under which all slots of a plugin live.

    Args:
        namespace: Namespace of the PluginSandbox.
        sandbox: Name of the PluginSandbox.
        plugin: Name of the plugin in it.

    Returns:
        `gls_` and the first 16 hex digits of SHA-256(`<namespace>/<sandbox>/<plugin>`). It holds no
        digest of the code, so state outlives an upgrade. It is a name, not a secret.

    """
    digest = hashlib.sha256(f"{namespace}/{sandbox}/{plugin}".encode()).hexdigest()
    return f"gls_{digest[:KEY_DIGITS]}"
