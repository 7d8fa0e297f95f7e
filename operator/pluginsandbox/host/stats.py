"""What `/stats` tells: how the plugins fare, whether the wall holds, and the last two minutes.

The operator reads the first two as `api.host_stats` has them; the rest is for its autoscaler.
"""

from __future__ import annotations

import msgspec

from pluginsandbox.api.host_stats import (
    MESSAGE_CHARACTERS,
    MISSING_ACTS,
    MISSING_CHARACTERS,
    ConfinementStats,
    HostSample,
    HostStats,
    PluginStats,
)
from pluginsandbox.host.assembly import Host
from pluginsandbox.host.plugins import Plugin

VERSION = 1


class Stats(HostStats, frozen=True, rename="camel", kw_only=True):
    """The whole document; a reader passes over fields that it does not know."""

    version: int = VERSION
    """Grows when a field changes its meaning; new fields do not count."""
    ready: bool
    draining: bool
    contexts: int
    inflight: int
    """Calls with a worker."""
    queued: int
    """Calls that wait for one."""
    refused: int
    """Calls refused for want of room since the start."""
    requests: int
    """Calls that came since the start."""
    generation: int
    """Of the host: generations of its bindings are above."""
    samples: list[HostSample]
    """One for each of the last 120 s, oldest first."""


def collect(host: Host) -> Stats:
    """Return what the host says of itself now."""
    load = host.load
    return Stats(
        plugins=tuple(_plugin(plugin) for plugin in host.plugins.values()),
        confinement=_confinement(host),
        ready=host.ready,
        draining=host.invoker.draining,
        contexts=len(host.table),
        inflight=load.calls.count - load.queued.count,
        queued=load.queued.count,
        refused=load.refused,
        requests=load.requests,
        generation=host.first_generation,
        samples=list(load),
    )


def document(host: Host) -> bytes:
    """Return the same as JSON."""
    return msgspec.json.encode(collect(host))


def _plugin(plugin: Plugin) -> PluginStats:
    return PluginStats(
        name=plugin.name,
        state=plugin.state,
        digest=plugin.config.digest or "",
        reason=plugin.reason,
        message=plugin.message[:MESSAGE_CHARACTERS],
    )


def _confinement(host: Host) -> ConfinementStats | None:
    found = host.confinement
    if found is None:
        return None
    missing = [f"{act.name}: {act.detail}" for act in found.acts if not act.held]
    return ConfinementStats(
        holds=found.holds,
        landlock_abi=found.landlock_abi,
        missing=tuple(text[:MISSING_CHARACTERS] for text in missing[:MISSING_ACTS]),
    )
