"""What the operator keeps of its decisions is bounded, and enough to decide once more."""

from __future__ import annotations

import json
from typing import Any

from pluginsandbox.autoscaler import record
from pluginsandbox.autoscaler.core import Autoscaler, Seen
from pluginsandbox.controller.decisions import KEPT, Decisions
from pluginsandbox.controller.kinds import Key
from tests.unit.autoscaler.worlds import calls, play, policy

ONE, OTHER = Key("team", "one"), Key("team", "other")


def made(number: int) -> list[Seen]:
    return play(Autoscaler(policy()), [calls(n, n % 7) for n in range(1, number + 1)], 1)


def records(kept: Decisions, key: Key) -> list[Any]:
    found: list[Any] = json.loads(kept.records(key))["records"]
    return found


def test_the_last_hundred_are_kept_and_replay_to_the_same_answers() -> None:
    kept, seen = Decisions(), made(KEPT + 20)
    for each in seen:
        kept.add(ONE, each, "abc")
    times = [each["time"] for each in json.loads(kept.document(ONE))["decisions"]]
    assert times == [each.facts.now for each in seen[-KEPT:]]
    replayed = [record.replay(json.dumps(each).encode()) for each in records(kept, ONE)]
    assert [each.recorded for each in replayed] == [each.answer for each in seen[-KEPT:]]
    assert all(each.same for each in replayed)


def test_beyond_their_room_the_oldest_lose_what_they_were_made_from() -> None:
    kept, seen = Decisions(record_bytes=20_000), made(60)
    for each in seen:
        kept.add(ONE, each, "")
        kept.add(OTHER, each, "")
    left = records(kept, ONE)
    assert 0 < len(left) < 60
    assert left[-1]["time"] == seen[-1].facts.now
    assert len(json.loads(kept.document(ONE))["decisions"]) == 60
    kept.forget(OTHER)
    assert not records(kept, OTHER)
    before = len(records(kept, ONE))
    for each in seen[: before + 5]:
        kept.add(ONE, each, "")
    assert len(records(kept, ONE)) > before, "what was forgotten makes room"
