"""The Secret by which the pods of a sandbox know each other; only for several pods.

The operator makes it and never sees it again: its rights on Secrets are to create them. A kubelet
never looks at an immutable Secret again, not even at a new one of its name. So the key is replaced
by a second Secret, an administrator's own, that pods mount over this one.
"""

from __future__ import annotations

import base64

from pluginsandbox.api.sandbox import PluginSandbox
from pluginsandbox.controller import kinds
from pluginsandbox.controller.children.common import Manifest, manifest, peers_name

KEY_BYTES = 32


def desired(sandbox: PluginSandbox) -> Manifest:
    """Return the Secret without its key."""
    return manifest(kinds.SECRET, sandbox, peers_name(sandbox), type="Opaque", immutable=True)


def with_key(secret: Manifest, key: bytes) -> Manifest:
    """Return the Secret with its key."""
    return {**secret, "data": {"key": base64.b64encode(key).decode()}}
