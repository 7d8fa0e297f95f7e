"""A watch is replayed into the objects that there are."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.cluster.policy.watch import replay


def _event(kind: str, uid: str, **metadata: Any) -> bytes:
    return json.dumps({"type": kind, "object": {"metadata": {"uid": uid, **metadata}}}).encode()


def test_nothing_is_told_before_the_list_is_complete() -> None:
    end = {"annotations": {"k8s.io/initial-events-end": "true"}}
    lines = [
        _event("ADDED", "a"),
        _event("BOOKMARK", "", annotations={}),
        _event("BOOKMARK", "", **end),
        _event("ADDED", "b"),
        _event("MODIFIED", "a", labels={"x": "y"}),
        _event("BOOKMARK", ""),
        _event("DELETED", "b"),
    ]

    told = list(replay(iter(lines)))

    assert [sorted(objects) for objects in told] == [["a"], ["a", "b"], ["a", "b"], ["a"]]
    assert told[0]["a"]["metadata"] == {"uid": "a"}
    assert told[-1]["a"]["metadata"]["labels"] == {"x": "y"}


def test_an_error_event_ends_it() -> None:
    line = json.dumps({"type": "ERROR", "object": {"message": "too old"}}).encode()

    with pytest.raises(ValueError, match="too old"):
        list(replay(iter([line])))
