"""What a proxy does to which requests and watch events: a list of rules, no code.

The first rule that matches and is not used up counts.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Literal

from tests.chaos.record import Call

RequestAct = Literal["delay", "hold", "reset before", "reset after", "answer", "stale"]
"""delay: pass it on later. hold: never answer. reset before, reset after: break the connection
before the server got it, or when it has acted. answer: with an error of the server, not passed on.
stale: as it was when the past was photographed."""
StreamAct = Literal["close", "silent", "gone", "fail", "lose", "duplicate", "reorder"]
"""close: end the watch. silent: keep it open and say nothing. gone: 410 in the stream.
fail: 500 in the stream. lose, duplicate: an event. reorder: send an event after the next one,
or late if there is none."""
_EVENT_ACTS = frozenset({"lose", "duplicate", "reorder"})
_STREAM_ACTS = _EVENT_ACTS | {"close", "silent", "gone", "fail"}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Rule:
    """One fault.

    Args:
        act: What is done.
        verb: Of the requests it is done to; several with spaces between; empty = any.
        kind: Plural of their kind, several likewise.
        event: Type of the watch events, several likewise.
        skip: So many matches pass first.
        times: How often; None = as long as the rule stands.
        seconds: Of a delay.
        code: HTTP status of an answer.
        retry_after: Seconds that an answer asks to wait; None = it does not say.

    """

    act: RequestAct | StreamAct
    verb: str = ""
    kind: str = ""
    event: str = ""
    skip: int = 0
    times: int | None = 1
    seconds: float = 0.0
    code: int = 503
    retry_after: int | None = None

    @property
    def in_stream(self) -> bool:
        """Whether it is about an open watch rather than about a request."""
        return self.act in _STREAM_ACTS

    def meets(self, call: Call, event: str = "") -> bool:
        """Tell whether the rule is about this request, or this event of its stream."""
        return (
            _among(call.verb, self.verb)
            and _among(call.kind, self.kind)
            and (self.act not in _EVENT_ACTS or _among(event, self.event))
        )


@dataclasses.dataclass(slots=True)
class _InForce:
    rule: Rule
    met: int = 0

    @property
    def used_up(self) -> bool:
        return self.rule.times is not None and self.met >= self.rule.skip + self.rule.times


class Script:
    """The rules in force, and how often each was used."""

    def __init__(self) -> None:
        self._rules: list[_InForce] = []
        self.changed: Callable[[], None] = lambda: None

    def add(self, *rules: Rule) -> None:
        """Put rules in force."""
        self._rules += [_InForce(rule) for rule in rules]
        self.changed()

    def clear(self) -> None:
        """Put no rule in force."""
        self._rules.clear()
        self.changed()

    def used(self, act: RequestAct | StreamAct) -> int:
        """Return how often an act was done by the rules in force."""
        return sum(
            max(0, each.met - each.rule.skip) for each in self._rules if each.rule.act == act
        )

    def for_request(self, call: Call) -> Rule | None:
        """Return what to do with a request."""
        return self._first(lambda rule: not rule.in_stream and rule.meets(call))

    def for_event(self, call: Call, event: str) -> Rule | None:
        """Return what to do with an event of a watch."""
        return self._first(lambda rule: rule.act in _EVENT_ACTS and rule.meets(call, event))

    def for_stream(self, call: Call) -> Rule | None:
        """Return what to do with an open watch now."""
        return self._first(lambda rule: rule.act in _STREAM_ACTS - _EVENT_ACTS and rule.meets(call))

    def _first(self, meets: Callable[[Rule], bool]) -> Rule | None:
        for each in self._rules:
            if each.used_up or not meets(each.rule):
                continue
            each.met += 1
            if each.met > each.rule.skip:
                return each.rule
        return None


def _among(word: str, words: str) -> bool:
    return not words or word in words.split()
