"""What is read of a watch: all that the store keeps, however it was cut on its way."""

from __future__ import annotations

import itertools
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pluginsandbox.controller import cluster, wire
from pluginsandbox.controller.errors import PermanentError
from pluginsandbox.controller.kinds import CONFIG_MAP, POD, SERVICE, WATCHED, Kind
from pluginsandbox.controller.trim import trim

META = {
    "name": "shop-1",
    "namespace": "team",
    "uid": "u",
    "resourceVersion": "7",
    "generation": 2,
    "labels": {"pluginsandbox.dev/sandbox": "shop"},
    "annotations": {"pluginsandbox.dev/applied": "h", "theirs": "x"},
    "ownerReferences": [{"uid": "o", "controller": True}],
    "creationTimestamp": "2026-01-01T00:00:00Z",
    "deletionTimestamp": "2026-01-01T00:00:01Z",
    "managedFields": [{"manager": "m", "fieldsV1": {"f:spec": {}}}],
}
CONTAINER = {"name": "host", "ready": True, "started": True, "restartCount": 1, "image": "i"}
FULL = {
    "metadata": META,
    "spec": {"replicas": 1},
    "status": {
        "phase": "Running",
        "reason": "Evicted",
        "message": "m",
        "podIP": "10.0.0.1",
        "hostIP": "10.0.0.2",
        "startTime": "2026-01-01T00:00:00Z",
        "conditions": [{"type": "Ready", "status": "True"}],
        "containerStatuses": [{**CONTAINER, "state": {"running": {}}, "lastState": {}}],
    },
    "data": {"a.py": "a = 1\n"},
    "binaryData": {"b": "AAE="},
    "immutable": True,
}


@pytest.mark.parametrize("kind", [kind for kind, _ in WATCHED])
@pytest.mark.parametrize("owned", [True, False])
def test_nothing_that_the_store_keeps_is_skipped(kind: Kind, *, owned: bool) -> None:
    body = FULL if owned else {**FULL, "metadata": {**META, "labels": {}}}
    told = wire.read(kind, json.dumps({"type": "ADDED", "object": body}).encode())
    assert trim(kind, told.object) == trim(kind, body)
    assert "managedFields" not in told.object["metadata"]


def test_a_bookmark_says_where_the_watch_is() -> None:
    place = {"resourceVersion": "9", "creationTimestamp": None}
    line = json.dumps({"type": "BOOKMARK", "object": {"kind": "Pod", "metadata": place}})
    assert wire.read(POD, line.encode()).object["metadata"]["resourceVersion"] == "9"


@pytest.mark.parametrize("kind", [POD, SERVICE])
def test_an_error_in_a_watch_is_an_error_of_ours(kind: Kind) -> None:
    status = {"kind": "Status", "metadata": {}, "code": 410, "message": "too old"}
    status |= {"status": "Failure"}
    line = json.dumps({"type": "ERROR", "object": status}).encode()
    with pytest.raises(PermanentError, match="too old") as caught:
        cluster._event(kind, line)
    assert caught.value.code == cluster.GONE


class _Content:
    def __init__(self, parts: list[bytes]) -> None:
        self._parts = parts

    async def iter_any(self) -> AsyncIterator[bytes]:
        for part in self._parts:
            yield part


@given(
    st.lists(st.binary(min_size=1, max_size=8).filter(lambda line: b"\n" not in line)),
    st.lists(st.integers(0, 60)),
)
async def test_lines_come_whole_however_they_were_cut(lines: list[bytes], cuts: list[int]) -> None:
    stream = b"".join(line + b"\n" for line in lines)
    places = sorted({0, *(min(cut, len(stream)) for cut in cuts), len(stream)})
    parts = [stream[a:b] for a, b in itertools.pairwise(places)]
    content: Any = _Content(parts)
    assert [line async for some in cluster._lines(content) for line in some] == lines


def test_a_config_map_is_read_whole_as_its_digest_is_made_of_it() -> None:
    line = json.dumps({"type": "ADDED", "object": FULL}).encode()
    assert wire.read(CONFIG_MAP, line).object["data"] == FULL["data"]
