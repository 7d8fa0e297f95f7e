"""Durable slots: what the host holds, so that a context outlives the worker that served it.

What is held is as of the last answer, by attribute, encoded as the worker sent it; the host never
looks into a value. The worker sends what a call changed in the frame of that call's answer, and it
is kept here before the caller hears of it: an acknowledged call is never lost, and one that was not
answered has left nothing.

A state is fenced by (epoch, n). The epoch is the generation of the binding that wrote it, which
grows with each restore, here or on another pod; n counts the answers that changed something. The
first of an epoch holds all slots, each later one those that changed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import msgspec

from pluginsandbox.api.host_config import PluginLimits
from pluginsandbox.host.contexts import Binding, Context, ContextTable, State
from pluginsandbox.host.plugins import Plugin
from pluginsandbox.sdk.durable import MAX_SLOTS, Slots, size_of

FIRST = 1

Refusal = Literal["", "Protocol", "Durable"]
"""Protocol: the worker lies. Durable: all contexts of the plugin together would have too much."""


class Kept:
    """The durable state of one binding.

    Args:
        epoch: Generation of the binding that wrote it.
        n: Number of its last change.
        digest: Of the code that wrote it; empty if unknown.
        slots: Attribute to encoded value, None for a slot without one.

    """

    __slots__ = ("died", "digest", "epoch", "n", "size", "slots")

    def __init__(self, epoch: int, n: int, digest: str, slots: Slots) -> None:
        self.epoch = epoch
        self.n = n
        self.digest = digest
        self.slots = slots
        self.size = size_of(slots)
        self.died = ""
        """How its last worker died, for the next one to be told."""

    @property
    def fence(self) -> tuple[int, int]:
        """What a later state is above."""
        return self.epoch, self.n


class Record(msgspec.Struct, frozen=True, array_like=True):
    """The durable state of one binding on its way to another host."""

    tenant: str
    context: str
    plugin: str
    epoch: int
    n: int
    digest: str
    slots: Slots


class RefusedError(Exception):
    """A record is not taken.

    Args:
        reason: Stale (it, or a later one, was here already) | Bound (a worker serves that binding,
            or its context ends just now) | Unknown (no such plugin) | Full (no room for it).
        message: For a person.

    """

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class DurableStore:
    """Keeps, hands out and takes in durable states, and counts their bytes.

    Args:
        table: The contexts whose bindings hold them.
        plugins: By name.

    """

    def __init__(self, table: ContextTable, plugins: Mapping[str, Plugin]) -> None:
        self._table = table
        self._plugins = plugins

    def export(self, tenant: str, context: str) -> tuple[Record, ...]:
        """Return what is held of a context, oldest binding first.

        No call of the context may be on its way: what it changed would be missing.
        """
        found = self._table.get(tenant, context)
        bindings = found.bindings if found is not None else ()
        return tuple(
            Record(tenant, context, binding.plugin.name, *kept.fence, kept.digest, kept.slots)
            for binding in bindings
            if (kept := binding.kept) is not None and binding.state is not State.RECLAIMING
        )

    def accept(self, record: Record, context: Context, now: float) -> None:
        """Hold what another host held; the next call of that plugin in that context restores it.

        Args:
            record: As the other host exported it.
            context: Where it belongs: of the record's tenant and name.
            now: Seconds on the host's clock.

        Raises:
            RefusedError: Nothing has changed here.

        """
        plugin = self._plugins.get(record.plugin)
        if plugin is None:
            raise RefusedError("Unknown", f"this host has no plugin {record.plugin!r}")
        self._check_fence(record, context, plugin)
        binding = context.find(plugin)
        if binding is None and plugin.bindings >= plugin.config.limits.max_contexts:
            raise RefusedError("Full", f"{plugin.name} has as many contexts as maxContexts allows")
        kept = Kept(record.epoch, record.n, record.digest, record.slots)
        grown = kept.size - _size(binding)
        limits = plugin.config.limits
        if not fits(kept, limits) or plugin.durable_bytes + grown > limits.durable_room:
            raise RefusedError("Full", f"{plugin.name} has no room for {kept.size} durable bytes")
        if binding is None:
            binding = self._table.add_stored(context, plugin, record.epoch, now)
            plugin.bindings += 1
        binding.kept = kept
        binding.taken = kept.fence
        plugin.durable_bytes += grown

    def store(self, binding: Binding, epoch: int, n: int, slots: Slots) -> Refusal:
        """Hold what a call changed, before its caller is answered.

        Returns:
            Why the worker must be ended instead; nothing is stored then.

        """
        kept, plugin = binding.kept, binding.plugin
        # Until the first of an epoch what is held is of an earlier one.
        last = kept.n if kept is not None and kept.epoch == binding.generation else 0
        if epoch != binding.generation or n != last + 1:
            return "Protocol"
        merged = slots if kept is None or n == FIRST else {**kept.slots, **slots}
        new = Kept(epoch, n, plugin.config.digest or "", merged)
        limits, grown = plugin.config.limits, new.size - _size(binding)
        if not fits(new, limits):
            return "Protocol"
        if grown > 0 and plugin.durable_bytes + grown > limits.durable_room:
            return "Durable"
        binding.kept = new
        plugin.durable_bytes += grown
        return ""

    def forget(self, binding: Binding) -> None:
        """Drop the state of a binding that ends."""
        binding.plugin.durable_bytes -= _size(binding)
        binding.kept = None

    def _check_fence(self, record: Record, context: Context, plugin: Plugin) -> None:
        binding = context.find(plugin)
        if context.ending or (binding is not None and binding.state is not State.STORED):
            raise RefusedError("Bound", f"{plugin.name} is bound here, or being given back")
        fence = (record.epoch, record.n)
        if binding is not None and binding.kept is not None:
            stale = fence <= binding.kept.fence
        else:
            ended = self._table.tombstone(record.tenant, record.context, plugin.name)
            # Generations of hosts are not in step: of another epoch nothing can be said.
            taken = ended.taken if ended is not None else (0, 0)
            stale = record.epoch == taken[0] and fence <= taken
        if stale:
            raise RefusedError("Stale", f"state {record.epoch}/{record.n} was here already")


def fits(kept: Kept, limits: PluginLimits) -> bool:
    """Whether one context may have so much."""
    return len(kept.slots) <= MAX_SLOTS and kept.size <= limits.durable_bytes


def _size(binding: Binding | None) -> int:
    return 0 if binding is None or binding.kept is None else binding.kept.size
