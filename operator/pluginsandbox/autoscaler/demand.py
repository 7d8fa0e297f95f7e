"""What load a second meant, for each metric, in thousandths.

Calls that wait are demand, but not every one asks for a place of its own. While pods start, calls
that keep coming pile up; were each of them counted, twelve pods that get seven times their load
would grow to dozens of times as many (Knative's autoscaler wants 557 where 86 do). So of the
waiting calls count

- as many as came beyond what the pods could serve, each for as long as a call takes: the places
  that the flow of calls lacks;
- what is needed to work off the queue within the horizon, which is the time in which a pod starts:
  as long as it took to pile up;
- all of them where calls are longer than the horizon, or none ended yet: none will make room soon;
- a queue that stands although all pods that are wanted are there: its callers wait for one another,
  and no flow explains it. This is `standing`, and asked for the newest second alone.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from pluginsandbox.api.scaling import MetricType
from pluginsandbox.autoscaler.numbers import MILLI, clamp, divide_up
from pluginsandbox.autoscaler.sample import Sample

CALL_SECONDS = 30
"""Over how long the length of a call is measured."""
DRAIN_HORIZONS = 2
"""A queue that would be gone within so many horizons is on its way out."""


@dataclasses.dataclass(frozen=True, slots=True)
class Recent:
    """The seconds that one second is judged by.

    Args:
        samples: Oldest first, the second itself last; never empty.
        horizon: Seconds in which a queue should be gone.

    """

    samples: Sequence[Sample]
    horizon: int

    @property
    def newest(self) -> Sample:
        """The second itself."""
        return self.samples[-1]

    def back(self, seconds: int) -> list[Sample]:
        """Return the samples of so many seconds up to the newest."""
        first = self.newest.time - seconds + 1
        return [sample for sample in self.samples if sample.time >= first]

    @property
    def at_end(self) -> Recent:
        """The same as if all of the newest second had been as its end was."""
        return Recent([*self.samples[:-1], self.newest.at_end], self.horizon)


def demand(kind: MetricType, recent: Recent) -> int:
    """Return the load of the newest second, in thousandths of calls, requests or contexts."""
    match kind:
        case "Concurrency":
            return _calls(recent)
        case "RequestsPerSecond":
            return recent.newest.requests
        case "Contexts":
            return recent.newest.contexts


def present(kind: MetricType, sample: Sample) -> int:
    """Return what was there in a second, whatever it meant: by it the usual load is told."""
    match kind:
        case "Concurrency":
            return sample.concurrency + sample.refused
        case "RequestsPerSecond":
            return sample.requests
        case "Contexts":
            return sample.contexts


def call_milliseconds(recent: Recent) -> int | None:
    """Return how long a call takes with a worker, waiting not counted; None if none ended.

    By Little's law: calls in progress, summed over time, for each call that ended.
    """
    samples = recent.back(CALL_SECONDS)
    came = sum(sample.requests - sample.refused for sample in samples)
    ended = came - (samples[-1].concurrency - samples[0].concurrency)
    if not came or ended <= 0:
        return None
    return sum(sample.concurrency - sample.queued for sample in samples) * MILLI // ended


def standing(recent: Recent, seconds: int) -> int:
    """Return the calls in progress and in a queue that stands, in thousandths; 0 if none does.

    Args:
        recent: The seconds.
        seconds: For how long a queue must be there to count. One that will soon be worked off, as
            it goes, does not.

    """
    newest = recent.newest
    least = min(sample.queued for sample in recent.back(seconds))
    left = newest.queued + DRAIN_HORIZONS * recent.horizon * min(0, _growth(recent))
    stays = min(least, left)
    return newest.concurrency - newest.queued + stays if stays > 0 else 0


def _calls(recent: Recent) -> int:
    newest = recent.newest
    waiting = newest.queued + newest.refused
    if not waiting:
        return newest.concurrency
    length = call_milliseconds(recent)
    if length is not None:
        waiting = clamp(_flow(recent, length), 0, waiting)
    return newest.concurrency - newest.queued + waiting


def _flow(recent: Recent, length: int) -> int:
    """Return the places, in thousandths, that the flow of calls and its queue ask for.

    Args:
        recent: The seconds.
        length: Milliseconds that a call takes.

    """
    lacking = _growth(recent) + recent.newest.refused
    queued = recent.newest.queued
    return divide_up(length * (lacking * recent.horizon + queued), MILLI * recent.horizon)


def _growth(recent: Recent) -> int:
    """Return by how much the queue grew in the newest second, in thousandths of calls."""
    newest, before = recent.newest, recent.samples[-2:][0]
    return (newest.queued - before.queued) // max(1, newest.time - before.time)
