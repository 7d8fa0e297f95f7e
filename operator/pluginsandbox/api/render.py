"""Makes the host's configuration from a PluginSandbox: one function for pods and for laptops.

The same spec gives the same bytes. `replicas`, `network`, `operatingMode` and `pod` never enter
it, so that changing them alone replaces no pod for the configuration's sake.
"""

from __future__ import annotations

from collections.abc import Callable

from pluginsandbox.api import host_config as host
from pluginsandbox.api import paths
from pluginsandbox.api.plugin import Plugin, PluginSecret
from pluginsandbox.api.quantity import parse_bytes
from pluginsandbox.api.sandbox import PluginSandbox


def host_config(
    sandbox: PluginSandbox,
    *,
    plugin_root: Callable[[Plugin], str] = paths.plugin_root,
    secret_root: Callable[[Plugin, PluginSecret], str] = paths.secret_mount,
    peers_service: str | None = None,
) -> host.HostConfig:
    """Return the configuration of the sandbox's hosts.

    Args:
        sandbox: As read; its namespace becomes part of the slots' keys.
        plugin_root: Directory of a plugin's files; that of the pods unless given.
        secret_root: Directory of a plugin's secret; that of the pods unless given.
        peers_service: Name that resolves to all pods; None on a laptop, where there is one host.

    """
    spec = sandbox.spec
    return host.HostConfig(
        namespace=sandbox.metadata.namespace,
        sandbox=sandbox.metadata.name,
        plugins=tuple(_plugin(plugin, plugin_root, secret_root) for plugin in spec.plugins),
        idle_timeout_seconds=spec.contexts.idle_timeout_seconds,
        deadline_seconds=spec.contexts.deadline_seconds,
        warm_workers=spec.host.warm_workers,
        confinement=spec.host.confinement,
        queue_timeout_milliseconds=spec.host.queue_timeout_milliseconds,
        max_queued_calls=spec.host.max_queued_calls,
        termination_grace_seconds=spec.host.termination_grace_seconds,
        peers_service=peers_service,
    )


def _plugin(
    plugin: Plugin,
    plugin_root: Callable[[Plugin], str],
    secret_root: Callable[[Plugin, PluginSecret], str],
) -> host.PluginConfig:
    return host.PluginConfig(
        name=plugin.name,
        root=plugin_root(plugin),
        entry_point=plugin.entry_point,
        runtime=plugin.runtime,
        isolation=plugin.isolation,
        digest=plugin.digest,
        config=dict(sorted(plugin.config.items())),
        secrets={secret.name: secret_root(plugin, secret) for secret in plugin.secrets},
        limits=_limits(plugin),
    )


def _limits(plugin: Plugin) -> host.PluginLimits:
    limits = plugin.limits
    return host.PluginLimits(
        memory_bytes=limits.memory_bytes,
        call_timeout_milliseconds=limits.call_timeout_milliseconds,
        workers=limits.workers,
        concurrency=limits.concurrency,
        max_contexts=plugin.max_contexts,
        request_bytes=parse_bytes(limits.request_bytes),
        result_bytes=parse_bytes(limits.result_bytes),
        durable_bytes=limits.durable_size,
        published_bytes=limits.published_size,
    )
