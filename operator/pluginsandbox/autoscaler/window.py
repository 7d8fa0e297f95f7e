"""The last minutes of a sandbox by the second. One without a sample is a gap, never zero."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

from pluginsandbox.autoscaler.sample import Sample


@dataclasses.dataclass(slots=True)
class Window:
    """Samples by the second at which they end.

    Args:
        seconds: How many are kept.

    """

    seconds: int
    _samples: dict[int, Sample] = dataclasses.field(default_factory=dict)
    """Oldest first."""
    _newest: int = 0

    def add(self, sample: Sample) -> bool:
        """Keep a sample, unless its second, or a later one, is there already."""
        if self._samples and sample.time <= self._newest:
            return False
        self._samples[sample.time] = sample
        self._newest = sample.time
        while next(iter(self._samples)) <= sample.time - self.seconds:
            del self._samples[next(iter(self._samples))]
        return True

    def last(self, seconds: int) -> list[Sample]:
        """Return the samples of the last so many seconds, oldest first; gaps are left out."""
        times = range(self._newest - seconds + 1, self._newest + 1)
        return [self._samples[time] for time in times if time in self._samples]

    @property
    def newest(self) -> Sample | None:
        """The newest sample."""
        return self._samples.get(self._newest)

    def __iter__(self) -> Iterator[Sample]:
        return iter(self._samples.values())
