"""What a plugin imports: Plugin, function, slot. And what its callers import: Client."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pluginsandbox.sdk.context import Context
from pluginsandbox.sdk.errors import CallTimeout, SecretError, WorkerDied
from pluginsandbox.sdk.plugin import Plugin, function
from pluginsandbox.sdk.sharing import SharingError
from pluginsandbox.sdk.slots import Slot, slot

if TYPE_CHECKING:
    from pluginsandbox.sdk.client import Client

__all__ = [
    "CallTimeout",
    "Client",
    "Context",
    "Plugin",
    "SecretError",
    "SharingError",
    "Slot",
    "WorkerDied",
    "function",
    "slot",
]


def __getattr__(name: str) -> Any:
    # A worker never calls, and need not carry an HTTP client.
    if name == "Client":
        from pluginsandbox.sdk.client import Client  # noqa: PLC0415

        return Client
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
