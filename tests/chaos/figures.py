"""How long something took, again and again, in one line."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Sequence


@dataclasses.dataclass(frozen=True)
class Times:
    """Measured times.

    Args:
        what: That took them.
        seconds: In the order in which they were measured; infinite = it never ended.

    """

    what: str
    seconds: Sequence[float]

    def percentile(self, share: float) -> float:
        """Return the time within which so many ended: one of those measured, none in between."""
        ordered = sorted(self.seconds)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))]

    @property
    def most(self) -> float:
        """The longest."""
        return max(self.seconds)

    def __str__(self) -> str:
        """Write all of it in one line."""
        parts = [f"P{share * 100:.0f}={self.percentile(share):.2f}s" for share in (0.5, 0.9, 0.99)]
        return f"{self.what}: n={len(self.seconds)} {' '.join(parts)} most={self.most:.2f}s"


def say(line: object) -> None:
    """Tell a waiting person how far it is."""
    print(line, file=sys.stderr, flush=True)
