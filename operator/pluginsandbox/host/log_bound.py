"""How much a worker may log, whatever it believes its own bound to be."""

from __future__ import annotations

from pluginsandbox.host.incoming import ProtocolError

# Five times what a worker's own bound lets through, for what piles up while the host stands still.
LOGS_PER_SECOND = 1000


class LogBound:
    """Counts what one worker logs."""

    def __init__(self) -> None:
        self._second, self._logs = 0, 0

    def count(self, now: float) -> None:
        """Count a line.

        Args:
            now: Seconds on the event loop's clock.

        Raises:
            ProtocolError: It is one too many in this second.

        """
        second = int(now)
        if second != self._second:
            self._second, self._logs = second, 0
        self._logs += 1
        if self._logs > LOGS_PER_SECOND:
            raise ProtocolError(f"it logged more than {LOGS_PER_SECOND} lines in one second")
