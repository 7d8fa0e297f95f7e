"""What holds for every policy and every history."""

from __future__ import annotations

import dataclasses
import random
from collections import deque

from hypothesis import given, settings
from hypothesis import strategies as st

from pluginsandbox.api.scaling import Scaling
from pluginsandbox.autoscaler import record
from pluginsandbox.autoscaler.core import HOST_SECONDS, Autoscaler, Seen
from pluginsandbox.autoscaler.decide import Direction, Limit, Reason
from pluginsandbox.autoscaler.sample import Sample
from tests.unit.autoscaler.worlds import (
    BEGIN,
    START,
    calls,
    histories,
    play,
    pods,
    policies,
    policy,
    seconds,
    wander,
)

CHANCE = st.randoms(use_true_random=True)
LAW = settings(max_examples=40)


@LAW
@given(policies(), histories(), st.integers(0, 400))
def test_the_answer_is_within_the_bounds_unless_paused(
    rules: Scaling, samples: list[Sample | None], requested: int
) -> None:
    for seen in play(Autoscaler(rules), samples, requested):
        if seen.answer.limit is not Limit.PAUSED:
            assert rules.min_replicas <= seen.answer.desired <= rules.most


@LAW
@given(policies(), histories(), st.integers(0, 400))
def test_a_paused_direction_holds(
    rules: Scaling, samples: list[Sample | None], requested: int
) -> None:
    for seen in play(Autoscaler(rules), samples, requested):
        change = seen.answer.desired - seen.facts.pods.requested
        assert change <= 0 or rules.paused not in ("Both", "ScaleUp")
        assert change >= 0 or rules.paused not in ("Both", "ScaleDown")


@LAW
@given(policies(), histories(), st.integers(1, 300))
def test_hosts_that_cannot_be_read_keep_the_last_count(
    rules: Scaling, samples: list[Sample | None], requested: int
) -> None:
    core = Autoscaler(rules)
    last = play(core, samples, requested)[-1].answer.desired
    for second in range(len(samples) + 4, len(samples) + 200, 7):
        answer = core.tick(BEGIN + second, None, pods(last)).answer
        assert answer.desired == last or rules.paused != "None"
        assert answer.reason in (Reason.HOSTS_UNREACHABLE, Reason.PAUSED, Reason.MINIMUM)
        last = answer.desired


@LAW
@given(policies(), seconds(41, 40), st.integers(0, 20_000), st.integers(0, 20_000), CHANCE)
def test_more_calls_in_a_second_never_give_fewer_pods(
    rules: Scaling, less: Sample, more: int, waiting: int, chance: random.Random
) -> None:
    """More in progress, more that wait, more that come and are there: whatever came before."""
    greater = dataclasses.replace(
        less,
        concurrency=less.concurrency + more + waiting,
        queued=less.queued + waiting,
        requests=less.requests + more + waiting,
        contexts=less.contexts + more,
    )
    numbers = [chance.choice([8, 10, 12]) for _ in range(chance.choice([0, 3, 40]))]
    first = 41 - len(numbers)
    before: list[Sample | None] = [
        calls(n, number, requests=number) for n, number in enumerate(numbers, start=first)
    ]
    desired = []
    for second in (less, greater):
        core = Autoscaler(rules, [each for each in before if each], start_milliseconds=START)
        desired.append(core.tick(BEGIN + 41, second, pods(10)).answer.desired)
    assert desired[0] <= desired[1]


@LAW
@given(histories(), st.integers(1, 100), st.integers(2, 9))
def test_a_load_that_is_some_times_as_large_throughout_never_gets_fewer_pods(
    samples: list[Sample | None], requested: int, times: int
) -> None:
    rules = policy(scaleDownDelaySeconds=30)
    usual = play(Autoscaler(rules), [each and _in_progress(each, 1) for each in samples], requested)
    larger = [each and _in_progress(each, times) for each in samples]
    more = play(Autoscaler(rules), larger, requested)
    assert all(
        high.answer.desired >= low.answer.desired for high, low in zip(more, usual, strict=True)
    )


def _in_progress(sample: Sample, times: int) -> Sample:
    return Sample(sample.time, sample.concurrency * times)


@LAW
@given(st.one_of(st.just(policy()), policies()), st.integers(1, 30), st.integers(60, 200), CHANCE)
def test_a_restart_at_any_second_changes_no_answer(
    rules: Scaling, requested: int, restart: int, chance: random.Random
) -> None:
    """The new operator has what the hosts still keep, and the live Deployment, and nothing else."""
    kept: deque[Sample] = deque(maxlen=HOST_SECONDS)
    cores, level = [Autoscaler(rules)], 20
    for second in range(1, restart + 70):
        sample, level = wander(second, chance, level)
        if second == restart:
            cores.append(Autoscaler(rules, kept, start_milliseconds=START))
        there = pods(requested, max(0, requested - chance.randrange(3)))
        answers = {core.tick(BEGIN + second, sample, there).answer for core in cores}
        assert len(answers) == 1
        requested = answers.pop().desired
        if sample is not None:
            kept.append(sample)


@settings(max_examples=20)
@given(policies(), CHANCE, st.integers(0, 400), st.integers(0, 5))
def test_a_record_replays_to_the_same_answer_and_numbers(
    rules: Scaling, chance: random.Random, requested: int, late: int
) -> None:
    """However the time in which pods start changes meanwhile, and if the clock is set back."""
    core, level = Autoscaler(rules), 20
    for second in range(1, 140):
        moment = second if second < 90 else second - chance.choice([0, 0, 80])
        sample, level = wander(moment, chance, level)
        start = chance.choice([900, 4000, 25_000])
        there = dataclasses.replace(
            pods(requested, max(0, requested - late)), start_milliseconds=start
        )
        seen = core.tick(BEGIN + moment, sample, there)
        requested = seen.answer.desired
        if second % 7 == 0:
            assert record.replay(record.encode(seen)).same


@settings(max_examples=10)
@given(policies(), st.integers(0, 100), st.integers(1, 400))
def test_a_constant_load_settles_and_never_turns(
    rules: Scaling, number: int, requested: int
) -> None:
    settled = 60 + 2 * rules.scale_down_delay_seconds
    steady: list[Sample | None] = [
        calls(n, number, contexts=number) for n in range(1, settled + 600)
    ]
    answers = [seen.answer for seen in play(Autoscaler(rules), steady, requested)]
    directions = {answer.direction for answer in answers} - {Direction.HOLD}
    assert len(directions) <= 1
    assert answers[-1].direction is Direction.HOLD


@LAW
@given(policies(), histories(), st.integers(0, 400))
def test_a_clock_that_is_set_back_removes_no_pod_at_once(
    rules: Scaling, samples: list[Sample | None], requested: int
) -> None:
    core = Autoscaler(rules)
    last = min(play(core, samples, requested)[-1].answer.desired, rules.most)
    earlier = Sample(BEGIN - 5000, 0)
    seen: Seen = core.tick(BEGIN - 5000, earlier, pods(last))
    if rules.scale_down_delay_seconds > 2:
        assert seen.answer.desired >= last
