"""How much memory a sandbox's pod needs: pure sums over the limits of its plugins.

limit = reserve + workers + payloads + durable + published, where

- reserve is the administrator's `memory.reserve`: the host and the zygote;
- workers is the sum over plugins of the processes it can have, times `limits.memory`: `workers` of
  a PerPlugin plugin; `maxContexts` + `warmWorkers` of a PerContext one;
- payloads is room for `PAYLOAD_CALLS` calls of the largest arguments and results at once; calls
  that wait beyond that are refused by the host's own bound on queued bytes;
- durable is the sum over plugins of the room that the host gives to their durable slots;
- published is `PUBLISHED_COPIES` times the sum of what plugins may publish: what is published, what
  was before and running calls still read, and what is being filled.

The limit never exceeds the administrator's `memory.maximum`. What is then missing is overcommit:
with all contexts alive and each worker at its limit, the kernel would kill workers before the host
does. It is reported, not refused, since PerContext sandboxes rarely have all contexts at once.
"""

from __future__ import annotations

import dataclasses

from pluginsandbox.api.host_config import PAYLOAD_CALLS, durable_room
from pluginsandbox.api.plugin import Plugin
from pluginsandbox.api.quantity import parse_bytes
from pluginsandbox.api.spec import SandboxSpec
from pluginsandbox.controller.settings import Memory

PUBLISHED_COPIES = 3
MIB = 1 << 20


@dataclasses.dataclass(frozen=True, slots=True)
class Budget:
    """Bytes of one pod.

    Args:
        limit: Memory limit of the container.
        request: What is set aside on the node.
        missing: By how much the limit is below what all workers could use.

    """

    limit: int
    request: int
    missing: int

    @property
    def overcommit(self) -> str:
        """What to tell the author; empty if every worker fits."""
        if not self.missing:
            return ""
        return (
            f"memory is overcommitted by {self.missing // MIB} MiB: all workers at their limits "
            f"need {(self.limit + self.missing) // MIB} MiB and the administrator's maximum is "
            f"{self.limit // MIB} MiB; lower limits.memory or limits.maxContexts"
        )


def budget(spec: SandboxSpec, memory: Memory) -> Budget:
    """Return the memory of one pod, whole MiB."""
    needed = (
        parse_bytes(memory.reserve)
        + _payloads(spec)
        + sum(_workers(spec, p) + _durable(p) + _published(p) for p in spec.plugins)
    )
    needed = _whole(needed)
    limit = min(needed, _whole(parse_bytes(memory.maximum)))
    asked = spec.host.resources.requests.memory
    return Budget(limit, parse_bytes(asked) if asked else limit, needed - limit)


def quantity(size: int) -> str:
    """Write bytes as a quantity that the API server would write the same way."""
    return f"{size // MIB}Mi" if size % MIB == 0 else str(size)


def _workers(spec: SandboxSpec, plugin: Plugin) -> int:
    per_context = plugin.isolation == "PerContext"
    processes = (
        plugin.max_contexts + spec.host.warm_workers if per_context else plugin.limits.workers
    )
    return processes * plugin.limits.memory_bytes


def _published(plugin: Plugin) -> int:
    return PUBLISHED_COPIES * plugin.limits.published_size


def _durable(plugin: Plugin) -> int:
    return durable_room(plugin.limits.durable_size, plugin.max_contexts)


def _payloads(spec: SandboxSpec) -> int:
    return PAYLOAD_CALLS * max(
        parse_bytes(plugin.limits.request_bytes) + parse_bytes(plugin.limits.result_bytes)
        for plugin in spec.plugins
    )


def _whole(size: int) -> int:
    return -(-size // MIB) * MIB
