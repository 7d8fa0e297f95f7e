"""The autoscaler of one sandbox: a sample and the pods come in each second, an answer goes out.

What it knows is the last seconds of its sandbox, which the hosts keep too: after a restart of the
operator `Autoscaler(policy, samples)` with what the hosts still have gives the answers that the old
one would have given, as long as their 120 seconds hold all that the policy looks back on. Where it
looks back further, no pod is removed before that time has been seen.
"""

from __future__ import annotations

import dataclasses
from collections import deque
from collections.abc import Iterable

from pluginsandbox.api.scaling import Scaling
from pluginsandbox.autoscaler.decide import Answer, Facts, Pods, decide
from pluginsandbox.autoscaler.demand import CALL_SECONDS, Recent, demand, standing
from pluginsandbox.autoscaler.forecast import NOTHING, Forecaster, Outlook
from pluginsandbox.autoscaler.need import Loads, Need, need
from pluginsandbox.autoscaler.numbers import MILLI, divide_up
from pluginsandbox.autoscaler.sample import Sample
from pluginsandbox.autoscaler.window import Window

HOST_SECONDS = 120
"""Seconds that hosts keep."""
LEAST_HORIZON = 2
"""Seconds for a queue to be worked off, however fast pods start."""
LATE_SECONDS = 3
"""A newest sample that is older says nothing of now."""


@dataclasses.dataclass(frozen=True, slots=True)
class Seen:
    """One second's decision with all that it was made from.

    Args:
        policy: What the author asked for.
        facts: What the rules were given.
        samples: The seconds from which that was told, oldest first.
        starts: For each, how long a pod took to start then, in milliseconds.
        answer: What was decided.

    """

    policy: Scaling
    facts: Facts
    samples: tuple[Sample, ...]
    starts: tuple[int, ...]
    answer: Answer


class Autoscaler:
    """Decides for one sandbox.

    Args:
        policy: What its author asks for; a change of it takes a new autoscaler, made from
            `samples` of the old one.
        samples: What is known already, oldest first.
        start_milliseconds: How long a pod took to start then.

    """

    def __init__(
        self, policy: Scaling, samples: Iterable[Sample] = (), *, start_milliseconds: int = 0
    ) -> None:
        self.policy = policy
        self._window = Window(looks_back(policy))
        self._loads: deque[Loads] = deque(maxlen=policy.panic_window_seconds)
        self._needs: deque[Need] = deque(maxlen=max(1, policy.scale_down_delay_seconds))
        forecast = policy.forecast
        self._forecaster = Forecaster(forecast.season_seconds) if forecast else None
        self._starts: dict[int, int] = {}
        """By the second, as they were when it was learnt."""
        for sample in samples:
            self.learn(sample, start_milliseconds)

    @property
    def samples(self) -> tuple[Sample, ...]:
        """What is known, oldest first."""
        return tuple(self._window)

    def tick(self, now: int, sample: Sample | None, pods: Pods) -> Seen:
        """Return how many pods are wanted.

        Args:
            now: Unix time in seconds. A clock that is set back loses what was known, and nothing
                else: pods are kept until enough has been seen again.
            sample: The newest second; None if the hosts could not be read.
            pods: The pods now.

        """
        newest = self._window.newest
        if newest is not None and newest.time > now + LATE_SECONDS:
            self._forget()
        if sample is not None and sample.time <= now + 1:
            self.learn(sample, pods.start_milliseconds)
        return self.seen(now, pods, self._outlook(now, pods))

    def seen(self, now: int, pods: Pods, outlook: Outlook) -> Seen:
        """Return what is decided by what is known; takes nothing in."""
        newest = self._needs[-1] if self._needs else None
        if newest is not None and now - newest.time > LATE_SECONDS:
            newest = None
        held, covered = self._held(now)
        facts = Facts(
            now,
            pods,
            newest,
            standing=self._standing(pods) if newest else 0,
            waiting=self._waiting(),
            held=held,
            covered=covered,
            outlook=outlook,
        )
        starts = tuple(self._starts.values())
        return Seen(self.policy, facts, self.samples, starts, decide(self.policy, facts))

    def learn(self, sample: Sample, start_milliseconds: int) -> None:
        """Take a second in; one that is not newer than all before says nothing."""
        if not self._window.add(sample):
            return
        self._starts[sample.time] = start_milliseconds
        oldest = next(iter(self._window)).time
        while next(iter(self._starts)) < oldest:
            del self._starts[next(iter(self._starts))]
        policy = self.policy
        seconds = max(policy.stable_window_seconds, CALL_SECONDS)
        recent = self._recent(seconds, start_milliseconds)
        loads = tuple(demand(metric.type, recent) for metric in policy.metrics)
        self._loads.append(Loads(sample.time, loads))
        first = sample.time - policy.panic_window_seconds
        panic = [each for each in self._loads if each.time > first]
        found = need(policy, recent, panic)
        self._needs.append(found)
        if self._forecaster is not None:
            self._forecaster.learn(sample.time, found.milli_pods)

    def _standing(self, pods: Pods) -> int:
        """Return thousandths of pods for a queue that stands though no pod is on its way."""
        if pods.coming:
            return 0
        seconds = self.policy.panic_window_seconds
        calls = standing(self._recent(seconds, pods.start_milliseconds), seconds)
        targets = [each.target for each in self.policy.metrics if each.type == "Concurrency"]
        return max((divide_up(calls, target) for target in targets), default=0)

    def _waiting(self) -> bool:
        newest = self._window.newest
        return newest is not None and newest.queued + newest.refused > 0

    def _recent(self, seconds: int, start_milliseconds: int) -> Recent:
        horizon = max(LEAST_HORIZON, divide_up(start_milliseconds, MILLI))
        return Recent(self._window.last(max(2, seconds)), horizon)

    def _held(self, now: int) -> tuple[int, bool]:
        """Return the most that was needed within the delay, and whether half of it was seen."""
        delay = self.policy.scale_down_delay_seconds
        within = [each.pods for each in self._needs if each.time > now - delay]
        return max(within, default=0), 2 * len(within) >= delay

    def _outlook(self, now: int, pods: Pods) -> Outlook:
        if self._forecaster is None:
            return NOTHING
        lead = divide_up(pods.start_milliseconds, MILLI) + self.policy.panic_window_seconds
        return self._forecaster.outlook(now, now + lead)

    def _forget(self) -> None:
        self._window = Window(looks_back(self.policy))
        self._starts.clear()
        self._loads.clear()
        self._needs.clear()


def looks_back(policy: Scaling) -> int:
    """Return how many seconds of samples decide an answer by this policy."""
    averaged = policy.panic_window_seconds + CALL_SECONDS
    within = policy.scale_down_delay_seconds + max(policy.stable_window_seconds, averaged)
    return max(HOST_SECONDS, within)
