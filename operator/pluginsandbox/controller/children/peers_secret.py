"""The Secret by which the pods of a sandbox know each other; only for several pods.

The operator makes it and never sees it again: its rights on Secrets are to create them. It is not
immutable: a kubelet never looks at an immutable Secret again, not even at a new one of its name, so
the key could not be replaced under running pods.
"""

from __future__ import annotations

import base64

from pluginsandbox.api.sandbox import PluginSandbox
from pluginsandbox.controller import kinds
from pluginsandbox.controller.children.common import Manifest, manifest, peers_name

KEY_BYTES = 32


def desired(sandbox: PluginSandbox) -> Manifest:
    """Return the Secret without its key."""
    return manifest(kinds.SECRET, sandbox, peers_name(sandbox), type="Opaque")


def with_key(secret: Manifest, key: bytes) -> Manifest:
    """Return the Secret with its key."""
    return {**secret, "data": {"key": base64.b64encode(key).decode()}}
