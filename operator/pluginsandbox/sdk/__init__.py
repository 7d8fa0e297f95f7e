"""What a plugin imports: Plugin, function, slot."""

from pluginsandbox.sdk.context import Context
from pluginsandbox.sdk.errors import CallTimeout, SecretError, WorkerDied
from pluginsandbox.sdk.plugin import Plugin, function
from pluginsandbox.sdk.slots import Slot, slot

__all__ = [
    "CallTimeout",
    "Context",
    "Plugin",
    "SecretError",
    "Slot",
    "WorkerDied",
    "function",
    "slot",
]
