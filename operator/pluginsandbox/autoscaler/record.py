"""A decision on record: told in a line, in sixteen numbers for the status, and whole for replay.

A record holds the policy, the facts and the samples, so it is replayed alone: the windows are built
anew from the samples, and the answer must be the same. One record is one line of JSON.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import msgspec
from pydantic import ValidationError

from pluginsandbox.api.problems import explain
from pluginsandbox.api.scaling import Scaling
from pluginsandbox.autoscaler.core import Autoscaler, Seen
from pluginsandbox.autoscaler.decide import Answer, Direction, Limit, Pods, Reason
from pluginsandbox.autoscaler.demand import Recent, call_milliseconds
from pluginsandbox.autoscaler.forecast import Outlook
from pluginsandbox.autoscaler.numbers import MILLI
from pluginsandbox.autoscaler.sample import Sample, SampleError

VERSION = 3


class RecordError(ValueError):
    """A line is no record; the message says why."""


def inputs(seen: Seen) -> dict[str, int]:
    """Return what decided, as at most 16 whole numbers in thousandths, for the status."""
    facts, need = seen.facts, seen.facts.need
    newest = seen.samples[-1] if seen.samples else None
    numbers = {
        "requested": facts.pods.requested * MILLI,
        "ready": facts.pods.ready * MILLI,
        "startSeconds": facts.pods.start_milliseconds,
        "coming": facts.pods.coming * MILLI,
        "held": facts.held * MILLI,
    }
    if need is not None:
        numbers |= {
            "needed": max(need.milli_pods, facts.standing),
            "target": need.target,
            "load": need.load,
            "lastSecond": need.last,
            "panicWindow": need.short,
            "stableWindow": need.usual,
        }
    if newest is not None:
        length = call_milliseconds(Recent(seen.samples, 1))
        numbers |= {"waiting": newest.queued, "refused": newest.refused}
        numbers |= {} if length is None else {"callSeconds": length}
    if facts.outlook.milli_pods:
        numbers["forecast"] = facts.outlook.milli_pods
    if facts.outlook.error_percent is not None:
        numbers["forecastError"] = facts.outlook.error_percent * 10
    return numbers


def sentence(seen: Seen) -> str:
    """Return the decision for a person, such as `12 -> 86: Surge, Concurrency 86 at 1 a pod`."""
    answer, facts = seen.answer, seen.facts
    words = [f"{facts.pods.requested} -> {answer.desired}: {answer.reason}"]
    if answer.schedule:
        words.append(f"schedule {answer.schedule}")
    if facts.need is not None:
        need = facts.need
        words.append(f"{need.metric} {_plain(need.load)} at {_plain(need.target)} a pod")
    if facts.outlook.milli_pods:
        trust = "trusted" if facts.outlook.trusted else "not trusted"
        words.append(f"forecast {_plain(facts.outlook.milli_pods)} pods, {trust}")
    if answer.limit is not Limit.NONE:
        words.append(f"limited by {answer.limit}")
    return ", ".join(words)


def _plain(thousandths: int) -> str:
    return f"{thousandths / MILLI:.3f}".rstrip("0").rstrip(".")


class _Line(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """A record as it is written."""

    version: int
    time: int
    before: int
    desired: int
    direction: Direction
    reason: Reason
    limited_by: Limit
    schedule: str
    ready: int
    coming: int
    start_milliseconds: int
    outlook: tuple[int, int | None]
    inputs: dict[str, int]
    policy: dict[str, Any]
    samples: list[tuple[int, ...]]
    """The fields of `Sample` in their order, then milliseconds for a pod to start."""


def encode(seen: Seen) -> bytes:
    """Return the record as a line, without its end."""
    facts, answer = seen.facts, seen.answer
    line = _Line(
        version=VERSION,
        time=facts.now,
        before=facts.pods.requested,
        desired=answer.desired,
        direction=answer.direction,
        reason=answer.reason,
        limited_by=answer.limit,
        schedule=answer.schedule,
        ready=facts.pods.ready,
        coming=facts.pods.coming,
        start_milliseconds=facts.pods.start_milliseconds,
        outlook=(facts.outlook.milli_pods, facts.outlook.error_percent),
        inputs=inputs(seen),
        policy=seen.policy.model_dump(mode="json", by_alias=True, exclude_none=True),
        samples=[_flat(*each) for each in zip(seen.samples, seen.starts, strict=True)],
    )
    return msgspec.json.encode(line)


def _flat(sample: Sample, start: int) -> tuple[int, ...]:
    return (*(getattr(sample, field.name) for field in _FIELDS), start)


_FIELDS = dataclasses.fields(Sample)


def _unflat(numbers: tuple[int, ...]) -> tuple[Sample, int]:
    if len(numbers) != len(_FIELDS) + 1:
        raise SampleError(f"a sample must have {len(_FIELDS) + 1} numbers, not {len(numbers)}")
    return Sample(*numbers[:-1]), numbers[-1]


@dataclasses.dataclass(frozen=True, slots=True)
class Replayed:
    """A record, and what its inputs give today."""

    time: int
    recorded: Answer
    recorded_inputs: dict[str, int]
    seen: Seen

    @property
    def same(self) -> bool:
        """Whether both are equal, all numbers included."""
        return self.recorded == self.seen.answer and self.recorded_inputs == inputs(self.seen)


def replay(line: bytes) -> Replayed:
    """Decide once more from a record.

    Raises:
        RecordError: The line is no record, or of another version.

    """
    try:
        read = msgspec.json.decode(line, type=_Line)
        policy = Scaling.model_validate(read.policy, extra="forbid")
        samples = [_unflat(each) for each in read.samples]
    except ValidationError as error:
        raise RecordError(
            "; ".join(f"policy.{each}" for each in explain(error, Scaling))
        ) from error
    except (msgspec.DecodeError, SampleError) as error:
        raise RecordError(str(error)) from error
    if read.version != VERSION:
        raise RecordError(f"version must be {VERSION}, not {read.version}")
    pods = Pods(read.before, read.ready, read.coming, read.start_milliseconds)
    core = Autoscaler(policy)
    for sample, start in samples:
        core.learn(sample, start)
    recorded = Answer(read.desired, read.direction, read.reason, read.limited_by, read.schedule)
    seen = core.seen(read.time, pods, Outlook(*read.outlook))
    return Replayed(read.time, recorded, read.inputs, seen)
