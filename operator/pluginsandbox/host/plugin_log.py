"""Plugins' own words, and the host's about them: with plugin and context hash, never too many.

Lines come from code that may be hostile: each is cut, and each plugin has a budget of lines, the
host another one for what it has to say of that plugin. What is dropped is counted and told. A line
of a call that came with a W3C trace context carries the ids of the trace and of the caller's span;
the host records no spans, so it makes none up.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import structlog

from pluginsandbox.host.hashes import Hasher
from pluginsandbox.host.timers import NOWHERE, Wheel

if TYPE_CHECKING:
    from pluginsandbox.host.calls import Call, Errand

LINES_PER_SECOND = 50.0
BURST_LINES = 200.0
LINE_CHARACTERS = 4096
# From the first line that is dropped until it is told how many were.
TELL_SECONDS = 1.0
# Where the ids are in `00-<trace>-<span>-<flags>`.
TRACE_ID, SPAN_ID = slice(3, 35), slice(36, 52)

log = structlog.get_logger("plugin")


class Budget:
    """A bucket of lines that fills with time.

    Args:
        plugin: Whose.
        now: Seconds on the host's clock.

    """

    def __init__(self, plugin: str, now: float) -> None:
        self._plugin = plugin
        self._lines = BURST_LINES
        self._filled = now
        self.dropped = 0
        self.tick = NOWHERE

    def take(self, now: float) -> bool:
        """Return whether one more line may be written, and count it if not."""
        self._lines = min(BURST_LINES, self._lines + (now - self._filled) * LINES_PER_SECOND)
        self._filled = now
        if self._lines < 1:
            self.dropped += 1
            return False
        self._lines -= 1
        return True

    def on_timer(self, now: float) -> None:
        """Tell how many lines were dropped since this was told last."""
        del now
        log.warning("lines of a plugin were dropped", plugin=self._plugin, lines=self.dropped)
        self.dropped = 0


class PluginLog:
    """Writes what plugins say.

    Args:
        hasher: Names contexts.
        wheel: Where it waits to tell what was dropped.
        clock: Seconds.

    """

    def __init__(self, hasher: Hasher, wheel: Wheel, clock: Callable[[], float]) -> None:
        self._hasher = hasher
        self._wheel = wheel
        self._clock = clock
        self._said: dict[str, Budget] = {}
        self._noted: dict[str, Budget] = {}

    def write(self, plugin: str, item: Call | Errand | None, level: str, message: str) -> None:
        """Write one line of a plugin's own, if its budget allows.

        Args:
            plugin: Who says it.
            item: During what, if that is known.
            level: debug | info | warning | error; anything else counts as info.
            message: What; cut at `LINE_CHARACTERS`.

        """
        if self._may(self._said, plugin):
            self._line(plugin, item, level, message[:LINE_CHARACTERS])

    def note(self, item: Call | Errand, level: str, event: str, **more: str) -> None:
        """Write one line about what a plugin did, if the budget for that allows.

        Args:
            item: During what.
            level: debug | info | warning | error.
            event: What it did.
            more: Further fields; each cut at `LINE_CHARACTERS`.

        """
        plugin = item.binding.plugin.name
        if self._may(self._noted, plugin):
            more = {name: value[:LINE_CHARACTERS] for name, value in more.items()}
            self._line(plugin, item, level, event, **more)

    def _may(self, budgets: dict[str, Budget], plugin: str) -> bool:
        now = self._clock()
        budget = budgets.get(plugin)
        if budget is None:
            budget = budgets[plugin] = Budget(plugin, now)
        if budget.take(now):
            return True
        self._wheel.arm(budget, now + TELL_SECONDS)
        return False

    def _line(
        self, plugin: str, item: Call | Errand | None, level: str, event: str, **more: str
    ) -> None:
        where = {} if item is None else {"context": self._hasher.of(item.binding.context)}
        if item is not None and item.traceparent:
            trace = item.traceparent
            where |= {"trace_id": trace[TRACE_ID], "span_id": trace[SPAN_ID]}
        write = {"debug": log.debug, "warning": log.warning, "error": log.error}.get(
            level, log.info
        )
        write(event, plugin=plugin, **where, **more)
