"""Which contexts there are, what is bound in them, and how those that are gone went.

Pure data: no clock, no worker, no plugin code. `invoke` reads it on every call, `reclaim` takes
things out of it. A context is an object of slots and no more: a hundred thousand of them live here.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Literal, Protocol

from pluginsandbox.host.ends import Ends, Tombstone

if TYPE_CHECKING:
    from pluginsandbox.host.calls import Call
    from pluginsandbox.host.durable import Kept
    from pluginsandbox.host.lane import Lane
    from pluginsandbox.host.plugins import Plugin

Cause = Literal["Released", "Deadline", "Idle", "Finalized", "Crashed", "Evicted", "Shutdown"]
# About 5 MiB when full; older ends are forgotten, and the answer says that they may be.
TOMBSTONES = 16384


class State(enum.Enum):
    """How far a binding has come."""

    NEW = enum.auto()
    """Nothing of it has reached a worker."""
    BINDING = enum.auto()
    """Its first call is in the worker."""
    LIVE = enum.auto()
    RECLAIMING = enum.auto()
    """The worker has been told to give it back."""
    STORED = enum.auto()
    """It has no worker; its durable state waits here for the next call to bind it anew."""
    GONE = enum.auto()


UNBINDABLE = frozenset({State.BINDING, State.LIVE})
"""A worker may say of it that it is not there."""
UNBOUND = frozenset({State.GONE, State.STORED})
"""No lane serves it."""


class Binding:
    """One plugin in one context.

    Args:
        context: Where.
        plugin: Who.
        generation: Unique and increasing over the life of the host and of those before it; also
            the handle by which the worker knows the binding. Grows when it is bound anew.
        now: Seconds on the host's clock.

    """

    __slots__ = (
        *("born", "calls", "context", "generation", "kept", "lane", "plugin"),
        *("restored", "state", "taken"),
    )

    lane: Lane
    """What serves it; not to be used while it is `STORED`."""

    def __init__(self, context: Context, plugin: Plugin, generation: int, now: float) -> None:
        self.context = context
        self.plugin = plugin
        self.generation = generation
        self.born = now
        self.calls = 0
        self.state = State.STORED
        self.kept: Kept | None = None
        """Its durable state as of the last answer; None when it has none."""
        self.restored = False
        """It began with durable state of an earlier one."""
        self.taken = (0, 0)
        """Fence of the state that it was taken over with from another host."""

    def serve(self, lane: Lane) -> None:
        """Have a lane serve it from now on; nothing of it has reached the lane's worker."""
        self.lane = lane
        self.state = State.NEW
        lane.bindings[self.generation] = self

    def leave(self) -> None:
        """Have no lane any more; its durable state waits."""
        self.lane.bindings.pop(self.generation, None)
        self.state = State.STORED


class Keeper(Protocol):
    """Who looks after contexts whose time may have come."""

    def on_context_due(self, context: Context, now: float) -> None:
        """End the context, or arm it again."""


class Context:
    """A tenant's session, order, parcel: whatever the caller keeps state for.

    Args:
        tenant: Set by a door that authenticates; empty otherwise.
        name: The caller's own id; of a fresh one, `~` and a number, which no caller can say.
        now: Seconds on the host's clock.
        deadline: When it ends at the latest, on the same clock.
        keeper: Who is asked when its time may have come; None for a fresh one, made for a single
            call that named no context.

    """

    __slots__ = (
        *("active", "bindings", "born", "deadline", "ending", "keeper", "kept", "moving"),
        *("name", "tenant", "tick", "used", "waiting", "watchers"),
    )

    def __init__(
        self,
        tenant: str,
        name: str,
        now: float,
        deadline: float,
        keeper: Keeper | None = None,
    ) -> None:
        self.tenant = tenant
        self.name = name
        self.born = now
        self.used = now
        self.deadline = deadline
        self.keeper = keeper
        self.active = 0
        """Calls taken and not answered."""
        self.bindings: list[Binding] = []
        """Oldest first."""
        self.ending: Cause | None = None
        self.kept = False
        """Made by name: lives on when nothing is bound in it."""
        self.moving = False
        """Its state goes to another pod, where calls for it will find it as it was."""
        self.waiting: list[Call] | None = None
        """Calls that came while it was ending."""
        self.watchers: list[Callable[[], None]] | None = None
        self.tick = 0

    @property
    def fresh(self) -> bool:
        """Whether it was made for one call."""
        return self.keeper is None

    def find(self, plugin: Plugin) -> Binding | None:
        """Return what the plugin has here."""
        for binding in self.bindings:
            if binding.plugin is plugin:
                return binding
        return None

    def due(self, now: float, idle: float) -> float:
        """Return when to look at it next: its deadline or the end of its idle time, in seconds."""
        return min(self.deadline, (now if self.active else self.used) + idle)

    def on_timer(self, now: float) -> None:
        """Tell the owner that the time has come."""
        if self.keeper is not None:
            self.keeper.on_context_due(self, now)


class ContextTable:
    """All contexts of a host.

    Args:
        first_generation: Where generations start; above all that an earlier host on this name can
            have used.
        tombstones: How many ends are remembered at most.

    """

    def __init__(self, first_generation: int, tombstones: int = TOMBSTONES) -> None:
        self._contexts: dict[tuple[str, str], Context] = {}
        self._fresh: dict[Context, None] = {}
        self._generation = first_generation
        self._ends = Ends(tombstones)
        self.on_removed: Callable[[Context], None] | None = None
        """Told when a context that a caller named has ended."""

    def __len__(self) -> int:
        return len(self._contexts) + len(self._fresh)

    def __iter__(self) -> Iterator[Context]:
        """Iterate over a copy, newest first."""
        contexts = [*self._contexts.values(), *self._fresh]
        return iter(sorted(contexts, key=lambda context: context.born, reverse=True))

    def get(self, tenant: str, name: str) -> Context | None:
        """Return a context that a caller named."""
        return self._contexts.get((tenant, name))

    def add(
        self,
        tenant: str,
        name: str,
        now: float,
        deadline: float,
        keeper: Keeper,
    ) -> Context:
        """Make a context that is not there yet."""
        context = Context(tenant, name, now, deadline, keeper)
        self._contexts[tenant, name] = context
        return context

    def add_fresh(self, tenant: str, now: float) -> Context:
        """Make a context for one call: found by nobody, ended by its maker."""
        context = Context(tenant, f"~{self._next()}", now, math.inf)
        self._fresh[context] = None
        return context

    def bind(self, context: Context, plugin: Plugin, lane: Lane, now: float) -> Binding:
        """Put a plugin into a context that does not have it."""
        binding = Binding(context, plugin, self._next(), now)
        binding.serve(lane)
        context.bindings.append(binding)
        return binding

    def rebind(self, binding: Binding, lane: Lane) -> None:
        """Have a lane serve a binding that waited without one: it is a new generation."""
        binding.generation = self._next()
        binding.restored = True
        binding.serve(lane)

    def add_stored(self, context: Context, plugin: Plugin, generation: int, now: float) -> Binding:
        """Put a binding into a context that another host had; generations go on above its own."""
        self._generation = max(self._generation, generation)
        binding = Binding(context, plugin, generation, now)
        context.bindings.append(binding)
        return binding

    def unbind(self, binding: Binding, cause: Cause | None, detail: str = "") -> None:
        """Take a binding out and remember why; without a cause it never came to be."""
        context = binding.context
        context.bindings.remove(binding)
        binding.state = State.GONE
        if cause is None or context.fresh:
            return
        key = (context.tenant, context.name, binding.plugin.name)
        self._ends.put(key, Tombstone(cause, binding.generation, detail, binding.taken))

    def remove(self, context: Context) -> None:
        """Forget a context in which nothing is bound any more."""
        if context.fresh:
            self._fresh.pop(context, None)
        elif self._contexts.get((context.tenant, context.name)) is context:
            del self._contexts[context.tenant, context.name]
            if self.on_removed is not None:
                self.on_removed(context)

    def tombstone(self, tenant: str, name: str, plugin: str) -> Tombstone | None:
        """Return how the last binding of a plugin in a context ended, if that is still known."""
        return self._ends.get((tenant, name, plugin))

    def _next(self) -> int:
        self._generation += 1
        return self._generation
