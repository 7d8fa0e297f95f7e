"""Policies, samples and histories for the tests of the autoscaler."""

from __future__ import annotations

import random
from typing import Any

from hypothesis import strategies as st

from pluginsandbox.api.scaling import Scaling
from pluginsandbox.autoscaler.core import Autoscaler, Seen
from pluginsandbox.autoscaler.decide import Pods
from pluginsandbox.autoscaler.sample import Sample

BEGIN = 1_700_000_000
START = 4000


def policy(**fields: Any) -> Scaling:
    """Return a policy of up to 1000 pods, one call each, unless told otherwise."""
    plain = {"maxReplicas": 1000, "metrics": [{"type": "Concurrency", "target": 1}]}
    return Scaling.model_validate(plain | fields, extra="forbid")


def calls(second: int, number: float, queued: float = 0, **others: float) -> Sample:
    """Return a sample with so many calls, of which some waited."""
    whole = {name: round(value * 1000) for name, value in others.items()}
    return Sample(BEGIN + second, round(number * 1000), round(queued * 1000), **whole)


def pods(requested: int, ready: int | None = None, coming: int | None = None) -> Pods:
    """Return pods, of which those that are not ready are on their way."""
    there = requested if ready is None else ready
    return Pods(requested, there, requested - there if coming is None else coming, START)


def play(
    core: Autoscaler, samples: list[Sample | None], requested: int, *, late: int = 0
) -> list[Seen]:
    """Tick once a second; so many of the pods that are wanted are never ready."""
    seen: list[Seen] = []
    for second, sample in enumerate(samples, start=1):
        there = pods(requested, max(0, requested - late))
        seen.append(core.tick(BEGIN + second, sample, there))
        requested = seen[-1].answer.desired
    return seen


def wander(second: int, chance: random.Random, level: int) -> tuple[Sample | None, int]:
    """Return a second of a load whose level changes now and then, with bursts and gaps."""
    if chance.random() < 0.02:
        level = chance.choice([5, 20, 60])
    number = level * 1000 * (chance.choice([2, 4]) if chance.random() < 0.03 else 1)
    queued = chance.choice([0] * 9 + [chance.randrange(number)])
    refused = chance.choice([0] * 30 + [chance.randrange(3000)])
    requests = chance.choice([0, number, number // 3])
    ending = chance.choice([0, number, 3 * number])
    waiting = chance.choice([0, ending // 2])
    sample = Sample(BEGIN + second, number, queued, requests, refused, number, ending, waiting)
    return (None if chance.random() < 0.1 else sample), level


@st.composite
def seconds(draw: st.DrawFn, second: int, most: int = 200) -> Sample:
    """Return any second that a sandbox could have had."""
    number, ending = draw(st.integers(0, most * 1000)), draw(st.integers(0, most * 1000))
    return Sample(
        BEGIN + second,
        number,
        draw(st.integers(0, number)),
        draw(st.integers(0, most * 1000)),
        draw(st.integers(0, most * 200)),
        draw(st.integers(0, most * 1000)),
        ending,
        draw(st.integers(0, ending)),
    )


@st.composite
def histories(draw: st.DrawFn, least: int = 1, most: int = 40) -> list[Sample | None]:
    """Return seconds one after another, with gaps."""
    number = draw(st.integers(least, most))
    return [draw(st.one_of(seconds(n), seconds(n), st.none())) for n in range(1, number + 1)]


@st.composite
def policies(draw: st.DrawFn) -> Scaling:
    """Return any policy whose look back hosts can fill after a restart."""
    least = draw(st.integers(1, 50))
    most = draw(st.integers(least, 300))
    kinds = draw(
        st.lists(
            st.sampled_from(["Concurrency", "RequestsPerSecond", "Contexts"]),
            min_size=1,
            max_size=3,
            unique=True,
        )
    )
    return policy(
        minReplicas=least,
        maxReplicas=most,
        metrics=[{"type": kind, "target": draw(st.sampled_from([1, 1, 8]))} for kind in kinds],
        stableWindowSeconds=draw(st.integers(10, 60)),
        panicWindowSeconds=draw(st.integers(1, 10)),
        scaleDownDelaySeconds=draw(st.one_of(st.sampled_from([0, 60]), st.integers(0, 60))),
        tolerancePercent=draw(st.sampled_from([0, 0, 10])),
        rates={
            "upPercent": draw(st.sampled_from([1, 50, 900])),
            "downPercent": draw(st.sampled_from([1, 50, 100])),
        },
        paused=draw(st.sampled_from(["None", "None", "Both", "ScaleUp", "ScaleDown"])),
    )
