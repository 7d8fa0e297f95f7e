"""One second of a sandbox, made from what its hosts tell, and what a host may tell at all."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping

MOST = 10**9
"""What a host may say of one second, in thousandths: a million calls. More is a lie."""
LEAST_READ_PERCENT = 50
"""Of the hosts that were asked. With fewer the second is a gap."""


class SampleError(ValueError):
    """A sample cannot be true; the message names the field."""


@dataclasses.dataclass(frozen=True, slots=True)
class Sample:
    """One second, all pods together.

    Args:
        time: Unix time of its end, in seconds.
        concurrency: Mean number of calls in progress or waiting, in thousandths.
        queued: Those of them that waited, in thousandths.
        requests: Calls that came, the refused ones included, in thousandths.
        refused: Calls refused for want of room (429), in thousandths.
        contexts: Contexts at its end, in thousandths.
        ending: Calls in progress or waiting at its end, in thousandths; 0 if that is not known.
        ending_queued: Those of them that waited, in thousandths.

    """

    time: int
    concurrency: int
    queued: int = 0
    requests: int = 0
    refused: int = 0
    contexts: int = 0
    ending: int = 0
    ending_queued: int = 0

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if type(value) is not int or value < 0:
                raise SampleError(f"{field.name} must be a whole number from 0, not {value!r}")
        if self.queued > self.concurrency:
            raise SampleError(f"queued must be at most concurrency, {self.concurrency}")
        if self.ending_queued > self.ending:
            raise SampleError(f"ending_queued must be at most ending, {self.ending}")

    @property
    def at_end(self) -> Sample:
        """The second as if all of it had been as its end was."""
        return dataclasses.replace(self, concurrency=self.ending, queued=self.ending_queued)


COUNTED = (
    *("concurrency", "queued", "requests", "refused", "contexts"),
    *("ending", "ending_queued"),
)


def credible(sample: Sample, now: int) -> bool:
    """Tell whether one host can have seen this: bounded, and not of the future."""
    return sample.time <= now + 1 and all(getattr(sample, name) <= MOST for name in COUNTED)


def together(hosts: Iterable[Sample], *, asked: int, pods: int) -> Sample | None:
    """Return one second of the sandbox from the same second of its hosts.

    Hosts that were not read, or not asked where there are many, are taken to carry as much as the
    others.

    Args:
        hosts: What was read.
        asked: Hosts that were asked.
        pods: Hosts that take calls.

    Returns:
        None, a gap, if fewer than half of those asked were read.

    """
    read = list(hosts)
    if not read or len(read) * 100 < asked * LEAST_READ_PERCENT:
        return None
    scale = max(pods, len(read))
    sums = {name: sum(getattr(each, name) for each in read) for name in COUNTED}
    spread = {
        name: (2 * total * scale + len(read)) // (2 * len(read)) for name, total in sums.items()
    }
    return Sample(max(each.time for each in read), **spread)


def history(hosts: Mapping[str, Iterable[Sample]], *, pods: int) -> list[Sample]:
    """Return the sandbox's last seconds, oldest first, from those that its hosts kept.

    A second counts the hosts that were there then: one that started later has no sample of it.

    Args:
        hosts: The samples of each host, by its pod's name.
        pods: Hosts that take calls; those that could not be read carry as much as the others.

    """
    seconds: dict[int, list[Sample]] = {}
    for samples in hosts.values():
        for sample in samples:
            seconds.setdefault(sample.time, []).append(sample)
    unread = max(0, pods - len(hosts))
    found = (
        together(seconds[time], asked=0, pods=len(seconds[time]) + unread)
        for time in sorted(seconds)
    )
    return [sample for sample in found if sample is not None]
