"""Who a plugin is and whom it serves: plain data that a binding hands to its plugin."""

from __future__ import annotations

from typing import NamedTuple

from pluginsandbox.sdk.keys import plugin_key


class Identity(NamedTuple):
    """Which plugin of which sandbox this is."""

    namespace: str
    sandbox: str
    plugin: str

    @property
    def key(self) -> str:
        """`gls_` and 16 hex digits, see `keys.plugin_key`."""
        return plugin_key(self.namespace, self.sandbox, self.plugin)


class Context(NamedTuple):
    """Whom a binding serves."""

    id: str
    """Chosen by the caller (`Sandbox-Context`)."""
    tenant: str = ""
    """Empty until an authenticating door sets it."""
    generation: int = 1
    """Greater each time a context is bound anew; state of an earlier generation is gone."""
