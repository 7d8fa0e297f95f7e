"""How many pods the load of a second asks for.

A second far above the usual is a surge: it is answered at once and in full. Far means beyond what
chance makes of the usual load, and by half of it at least. A load that rose within the second was
there for a part of it only; what was there at its end is the load then. Anything less is averaged
over the panic window first, so that noise moves nothing.
"""

from __future__ import annotations

import dataclasses
import math

from pluginsandbox.api.scaling import Metric, MetricType, Scaling
from pluginsandbox.autoscaler.demand import Recent, demand, present
from pluginsandbox.autoscaler.numbers import MILLI, divide_up, mean

SURGE_PERCENT = 50
"""Above the usual load."""
SURGE_DEVIATIONS = 3
"""Standard deviations of a load whose calls come by chance, so that its variance is its mean."""


@dataclasses.dataclass(frozen=True, slots=True)
class Need:
    """What one second asks for, by the metric that asks for most.

    Args:
        time: Unix time of its end, in seconds.
        metric: Which metric.
        target: How much of it each pod should carry, in thousandths.
        last: Its load in this second, in thousandths; in a surge, if that is more, at its end.
        short: The mean over the panic window.
        usual: The mean over the stable window, of what was there.
        surge: Whether the second counts alone.

    """

    time: int
    metric: MetricType
    target: int
    last: int
    short: int
    usual: int
    surge: bool

    @property
    def load(self) -> int:
        """The load that counts, in thousandths."""
        return max(self.last, self.short) if self.surge else self.short

    @property
    def pods(self) -> int:
        """Pods that carry it."""
        return divide_up(self.load, self.target)

    @property
    def milli_pods(self) -> int:
        """The same in thousandths, not rounded up to whole pods."""
        return divide_up(self.load * MILLI, self.target)


@dataclasses.dataclass(frozen=True, slots=True)
class Loads:
    """The load of one second by each metric of the policy, in its order."""

    time: int
    loads: tuple[int, ...]


def need(policy: Scaling, recent: Recent, loads: list[Loads]) -> Need:
    """Return what the newest second asks for.

    Args:
        policy: What the author asked for.
        recent: The samples up to it.
        loads: The loads of the panic window's seconds up to it, oldest first.

    """
    each = (
        _by(metric, policy, recent, [second.loads[index] for second in loads])
        for index, metric in enumerate(policy.metrics)
    )
    return max(each, key=lambda one: one.milli_pods)


def _by(metric: Metric, policy: Scaling, recent: Recent, loads: list[int]) -> Need:
    there = [present(metric.type, each) for each in recent.back(policy.stable_window_seconds)]
    usual, last = mean(there), loads[-1]
    surge = last - usual >= max(1, usual * SURGE_PERCENT // 100, _chance(usual))
    if surge and recent.newest.ending > recent.newest.concurrency:
        last = max(last, demand(metric.type, recent.at_end))
    return Need(
        time=recent.newest.time,
        metric=metric.type,
        target=metric.target * MILLI,
        last=last,
        short=mean(loads),
        usual=usual,
        surge=surge,
    )


def _chance(usual: int) -> int:
    return SURGE_DEVIATIONS * math.isqrt(usual * MILLI)
