"""A load that comes back: what the same time of the last season asked for.

The season is cut into 288 parts (five minutes of a day). The forecast of a part is what it asked
for a season ago. It only ever raises an answer, and only while the last twelve parts that had a
forecast were forecast well. Nothing of it is stored: after a restart it learns anew.
"""

from __future__ import annotations

import dataclasses
from collections import deque

from pluginsandbox.autoscaler.numbers import divide_up

PARTS = 288
JUDGED_PARTS = 12
MOST_ERROR_PERCENT = 25


@dataclasses.dataclass(frozen=True, slots=True)
class Outlook:
    """What is expected when pods asked for now are ready.

    Args:
        milli_pods: Pods, in thousandths; 0 if nothing is known.
        error_percent: How wrong the last forecasts were, all in all; None if too few were made.

    """

    milli_pods: int = 0
    error_percent: int | None = None

    @property
    def trusted(self) -> bool:
        """Whether it may raise an answer."""
        return self.error_percent is not None and self.error_percent <= MOST_ERROR_PERCENT


NOTHING = Outlook()


class Forecaster:
    """Learns one season after another.

    Args:
        season_seconds: After how long the load comes back.

    """

    def __init__(self, season_seconds: int) -> None:
        self._part_seconds = max(1, season_seconds // PARTS)
        self._peaks: dict[int, int] = {}
        """Most that was needed, by part since the epoch: two seasons at most."""
        self._judged: deque[tuple[int, int]] = deque(maxlen=JUDGED_PARTS)
        """Forecast and truth of the last parts."""
        self._part = 0

    def learn(self, time: int, milli_pods: int) -> None:
        """Take what a second (Unix time) asked for, in thousandths of pods."""
        part = time // self._part_seconds
        if part != self._part:
            self._close()
            self._part = part
        self._peaks[part] = max(self._peaks.get(part, 0), milli_pods)

    def outlook(self, first: int, last: int) -> Outlook:
        """Return what is expected between two moments (Unix time)."""
        parts = range(first // self._part_seconds, last // self._part_seconds + 1)
        expected = max(self._peaks.get(part - PARTS, 0) for part in parts)
        return Outlook(expected, self._error())

    def _close(self) -> None:
        """Judge the part that is over, and forget what no forecast needs."""
        expected, found = self._peaks.get(self._part - PARTS), self._peaks.get(self._part)
        if expected is not None and found is not None:
            self._judged.append((expected, found))
        for part in [each for each in self._peaks if each < self._part - PARTS]:
            del self._peaks[part]

    def _error(self) -> int | None:
        if len(self._judged) < JUDGED_PARTS:
            return None
        wrong = sum(abs(expected - found) for expected, found in self._judged)
        return divide_up(100 * wrong, max(1, sum(found for _, found in self._judged)))
