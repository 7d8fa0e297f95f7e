"""How busy the host is: counters that cost a call two additions, and a sample for each second.

The integral of the number of calls over time is kept as one running sum: a call subtracts the time
it came and adds the time it went, so that `sum + calls * now` is the integral at any moment. The
mean of a second is then exact, however short the calls.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

from pluginsandbox.api.host_stats import SAMPLES, HostSample

SAMPLE_SECONDS = 1.0
LATE_SECONDS = 0.01
"""Past the whole second, so that a timer that fires early closes none twice."""


def until_next(unix_time: float) -> float:
    """Return the seconds until the next sample: all hosts close the same seconds."""
    return SAMPLE_SECONDS + LATE_SECONDS - unix_time % SAMPLE_SECONDS


class Level:
    """A number that goes up and down, and its integral over time.

    Args:
        origin: Seconds on the host's clock, to keep the sums small.

    """

    __slots__ = ("_origin", "_sum", "bytes", "count")

    def __init__(self, origin: float) -> None:
        self._origin = origin
        self._sum = 0.0
        self.count = 0
        self.bytes = 0
        """What those that are counted hold."""

    def up(self, now: float, size: int = 0) -> None:
        """Count one more, that holds `size` bytes."""
        self.count += 1
        self.bytes += size
        self._sum -= now - self._origin

    def down(self, now: float, size: int = 0) -> None:
        """Count one less."""
        self.count -= 1
        self.bytes -= size
        self._sum += now - self._origin

    def integral(self, now: float) -> float:
        """Return the integral since the origin, in units times seconds."""
        return self._sum + self.count * (now - self._origin)


class Load:
    """What the host does, and did in the last two minutes.

    Args:
        now: Seconds on the host's clock.

    """

    def __init__(self, now: float) -> None:
        self.calls = Level(now)
        """Taken and not left; those that wait included."""
        self.queued = Level(now)
        self.requests = 0
        self.refused = 0
        self._samples: deque[HostSample] = deque(maxlen=SAMPLES)
        self._last = (now, 0.0, 0.0, 0, 0)

    def sample(self, now: float, unix_time: float, contexts: int) -> HostSample:
        """Close a second: keep and return its sample."""
        then, calls_then, queued_then, requests_then, refused_then = self._last
        calls, queued = self.calls.integral(now), self.queued.integral(now)
        seconds = max(now - then, 1e-6)
        sample = HostSample(
            time=int(unix_time),
            concurrency=max(0, round((calls - calls_then) / seconds * 1000)),
            queued=max(0, round((queued - queued_then) / seconds * 1000)),
            requests=max(0, self.requests - requests_then),  # those sent on count elsewhere
            refused=self.refused - refused_then,
            contexts=contexts,
            calls=self.calls.count,
            waiting=self.queued.count,
        )
        self._last = (now, calls, queued, self.requests, self.refused)
        self._samples.append(sample)
        return sample

    def __iter__(self) -> Iterator[HostSample]:
        return iter(self._samples)
