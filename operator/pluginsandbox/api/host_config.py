"""The host's configuration: what the operator writes into the snapshot and the host reads.

It is plain data (msgspec, no pydantic) so that a host's image needs nothing of the operator's.
The operator renders it from a PluginSandbox with `api.render`; `pluginsandbox run` does the same
on a laptop, so both run the same host from the same document.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import msgspec

CONFIG_FILE = "config.json"
PEERS_DIRECTORY = "/etc/pluginsandbox/peers"
"""Holds `key` and, while it is being replaced, `previous`; empty while at most one pod can run."""

PAYLOAD_CALLS = 16
"""Calls of the largest arguments and results that a pod has room for at once."""

Isolation = Literal["PerPlugin", "PerContext"]
Confinement = Literal["Strict", "BestEffort"]

DURABLE_CONTEXTS = 64
"""So many contexts of a plugin may fill their durable slots to the limit at the same time."""


def durable_room(durable_bytes: int, max_contexts: int) -> int:
    """Return the bytes that one pod sets aside for the durable slots of a plugin.

    Args:
        durable_bytes: What one context may have.
        max_contexts: Contexts of the plugin in the pod.

    """
    return durable_bytes * min(max_contexts, DURABLE_CONTEXTS)


class PluginLimits(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Limits of one plugin, units in the names."""

    memory_bytes: int = 64 << 20
    """Growth of one worker above the zygote."""
    call_timeout_milliseconds: int = 1000
    """Counts from when the worker takes the call."""
    workers: int = 1
    """Workers of a PerPlugin plugin; contexts are sharded over them."""
    concurrency: int = 1
    """Calls at once in one context."""
    max_contexts: int = 1000
    request_bytes: int = 1 << 20
    result_bytes: int = 1 << 20
    durable_bytes: int = 64 << 10
    """State in durable slots of one context."""

    published_bytes: int = 0
    """What it may publish for other plugins; 0 = nothing."""

    @property
    def durable_room(self) -> int:
        """Bytes that the durable slots of all contexts in one pod may take together."""
        return durable_room(self.durable_bytes, self.max_contexts)


class PluginConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One plugin as the host loads it."""

    name: str
    root: str
    """Directory that holds the plugin's files."""
    entry_point: str
    """`module:Class` below `root`."""
    runtime: Literal["Python"] = "Python"
    isolation: Isolation = "PerPlugin"
    digest: str | None = None
    """`sha256:<hex>` of the tree below `root`; None = not checked (an image pinned by digest)."""
    config: dict[str, str] = {}
    secrets: dict[str, str] = {}
    """Name to directory that the kubelet mounted."""
    limits: PluginLimits = PluginLimits()


class HostConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All that one host needs to know."""

    namespace: str
    sandbox: str
    plugins: tuple[PluginConfig, ...]
    idle_timeout_seconds: int = 300
    deadline_seconds: int = 3600
    warm_workers: int = 2
    """Idle workers kept ready for each PerContext plugin."""
    confinement: Confinement = "Strict"
    queue_timeout_milliseconds: int = 30000
    max_queued_calls: int = 1000
    termination_grace_seconds: int = 30
    peers_service: str | None = None
    """Name that resolves to the addresses of all pods of the sandbox; None = there is only this."""
    peers_port: int = 8082


def payload_bytes(plugins: Iterable[PluginConfig]) -> int:
    """Return the bytes of a pod that are meant for arguments and results on their way."""
    limits = [plugin.limits for plugin in plugins]
    return PAYLOAD_CALLS * max(
        (each.request_bytes + each.result_bytes for each in limits), default=0
    )


def decode(data: bytes) -> HostConfig:
    """Read a configuration.

    Raises:
        msgspec.ValidationError: A field is missing, unknown or of the wrong type; the message
            names its path.

    """
    return msgspec.json.decode(data, type=HostConfig)


def encode(config: HostConfig) -> bytes:
    """Write a configuration as stable, readable JSON: equal configurations give equal bytes."""
    return msgspec.json.format(msgspec.json.encode(config, order="deterministic"), indent=1)
