"""A call on its way through the host, and the errand of giving a binding back.

Both are what a lane carries to its worker, in order. A door makes a kind of `Call` of its own that
knows how to answer; nothing on the way makes a task or a future for it.
"""

from __future__ import annotations

import abc
from collections.abc import Callable
from typing import TYPE_CHECKING

from pluginsandbox.host.timers import NOWHERE

if TYPE_CHECKING:
    from pluginsandbox.host.contexts import Binding, Cause
    from pluginsandbox.host.load import Level
    from pluginsandbox.host.plugins import Plugin
    from pluginsandbox.host.problem import Problem

ANY_GENERATION = 0


class Call(abc.ABC):
    """One call of one function.

    Args:
        tenant: Set by a door that authenticates; empty otherwise.
        context: The caller's id, None for a fresh context that ends with the call.
        plugin: Whose function.
        function: Its index among the plugin's functions.
        codec: How `body` is encoded, one of `frames.Codec`.
        body: The arguments; never looked into.
        arrived: When all of it was here, in seconds on the host's clock.
        deadline: When the caller stops waiting, on the same clock; None for the plugin's own limit.

    """

    __slots__ = (
        *("admitted", "arrived", "binding", "body", "budget", "codec", "context", "deadline"),
        *("done", "existing", "function", "id", "new", "patience", "placed", "plugin", "queued"),
        *("retried", "seconds", "sought", "tenant", "timer", "traceparent"),
    )

    binding: Binding
    """Where it was placed."""

    def __init__(
        self,
        tenant: str,
        context: str | None,
        plugin: Plugin,
        function: int,
        codec: int,
        body: bytes,
        arrived: float,
        deadline: float | None = None,
    ) -> None:
        self.tenant = tenant
        self.context = context
        self.plugin = plugin
        self.function = function
        self.codec = codec
        self.body = body
        self.arrived = arrived
        self.deadline = deadline
        self.traceparent = ""
        """W3C trace context of its caller; empty, or known to be well-formed."""
        self.existing: int | None = None
        """Only in a binding that is there: `ANY_GENERATION`, or in this very one."""
        self.id = 0
        self.budget = 0.0
        """Seconds that the worker was given for it."""
        self.patience = 0.0
        """Seconds after which the worker is late."""
        self.queued = False
        """Waits for a worker."""
        self.admitted = False
        """It found room once, and is not refused for want of it any more."""
        self.placed = False
        """It is counted in its binding's context."""
        self.retried = False
        self.sought = False
        """It is to be answered from what is here, wherever its context may be."""
        self.done = False
        """The caller has its answer."""
        self.new = False
        """It bound the context."""
        self.seconds = (0.0, 0.0, 0.0)
        """Waited, bound, ran."""
        self.timer: CallTimer | None = None

    @property
    def restored(self) -> bool:
        """Whether it bound the context with durable state of an earlier binding."""
        return self.new and self.binding.restored

    @property
    def bound(self) -> str:
        """What the binding is that it made: `new` or `restored`."""
        return "restored" if self.binding.restored else "new"

    def wait(self, level: Level, now: float) -> None:
        """Be counted as waiting."""
        self.queued = True
        level.up(now, len(self.body))
        self.plugin.queued += 1

    def go(self, level: Level, now: float) -> None:
        """Be counted as waiting no more."""
        if self.queued:
            self.queued = False
            level.down(now, len(self.body))
            self.plugin.queued -= 1

    @abc.abstractmethod
    def on_result(self, codec: int, body: bytes) -> None:
        """Answer the caller with a result."""

    @abc.abstractmethod
    def on_problem(self, problem: Problem) -> None:
        """Answer the caller with an error."""


class CallTimer:
    """The caller's own deadline, for calls that have one.

    Args:
        call: Whose.
        on_due: What to do when it has passed.

    """

    __slots__ = ("_call", "_on_due", "tick")

    def __init__(self, call: Call, on_due: Callable[[Call, float], None]) -> None:
        self._call = call
        self._on_due = on_due
        self.tick = NOWHERE

    def on_timer(self, now: float) -> None:
        """Tell that the time has come."""
        self._on_due(self._call, now)


class Errand:
    """Have a worker run `on_exit` of a binding and forget it.

    Args:
        binding: Which.
        cause: Why.
        asked: When, in seconds on the host's clock.
        patience: Seconds that `on_exit` may take.

    """

    __slots__ = ("asked", "binding", "cause", "error", "id", "patience", "reported")

    body = b""
    done = False
    traceparent = ""

    def __init__(self, binding: Binding, cause: Cause, asked: float, patience: float) -> None:
        self.binding = binding
        self.cause = cause
        self.asked = asked
        self.patience = patience
        self.id = 0
        self.reported = 0
        """Bytes that the worker says it had."""
        self.error = ""
        """What `on_exit` raised."""
