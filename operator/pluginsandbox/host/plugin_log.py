"""Plugins' own words, in the host's log: with plugin and context hash, and never too many.

Lines come from code that may be hostile: each is cut, and each plugin has a budget of lines. What
is dropped is counted and told.
"""

from __future__ import annotations

from collections.abc import Callable

import structlog

from pluginsandbox.host.contexts import Context
from pluginsandbox.host.hashes import Hasher

LINES_PER_SECOND = 50.0
BURST_LINES = 200.0
LINE_CHARACTERS = 4096

log = structlog.get_logger("plugin")


class Budget:
    """A bucket of lines that fills with time.

    Args:
        now: Seconds on the host's clock.

    """

    def __init__(self, now: float) -> None:
        self._lines = BURST_LINES
        self._filled = now
        self.dropped = 0

    def take(self, now: float) -> bool:
        """Return whether one more line may be written, and count it if not."""
        self._lines = min(BURST_LINES, self._lines + (now - self._filled) * LINES_PER_SECOND)
        self._filled = now
        if self._lines < 1:
            self.dropped += 1
            return False
        self._lines -= 1
        return True


class PluginLog:
    """Writes what plugins say.

    Args:
        hasher: Names contexts.
        clock: Seconds.

    """

    def __init__(self, hasher: Hasher, clock: Callable[[], float]) -> None:
        self._hasher = hasher
        self._clock = clock
        self._budgets: dict[str, Budget] = {}

    def write(self, plugin: str, context: Context | None, level: str, message: str) -> None:
        """Write one line, if the plugin's budget allows.

        Args:
            plugin: Who says it.
            context: Where, if that is known.
            level: debug | info | warning | error; anything else counts as info.
            message: What; cut at `LINE_CHARACTERS`.

        """
        now = self._clock()
        budget = self._budgets.get(plugin)
        if budget is None:
            budget = self._budgets[plugin] = Budget(now)
        if not budget.take(now):
            return
        if budget.dropped:
            log.warning("lines of a plugin were dropped", plugin=plugin, lines=budget.dropped)
            budget.dropped = 0
        where = {} if context is None else {"context": self._hasher.of(context)}
        write = {"debug": log.debug, "warning": log.warning, "error": log.error}.get(
            level, log.info
        )
        write(message[:LINE_CHARACTERS], plugin=plugin, **where)
