"""Follows one kind of object at the API server, for ever."""

from __future__ import annotations

import http.client
import json
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

from tests.cluster import api
from tests.cluster.layout import Layout

Objects = dict[str, dict[str, Any]]
_OPTIONS = (
    "watch=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true"
)
_INITIAL_EVENTS_END = "k8s.io/initial-events-end"
# The server sends a bookmark every minute: silence for longer is a dead connection.
_SILENCE_SECONDS = 150.0
_PAUSE_SECONDS = 0.5


def follow(layout: Layout, path: str, changed: Callable[[Objects], None]) -> None:
    """Call `changed` with all objects (by uid) after every change; never returns.

    Args:
        layout: the cluster.
        path: of the list of objects.
        changed: called first when the list is complete, and again so after a lost connection.
    """
    while True:
        try:
            _follow_once(layout, path, changed)
        except (OSError, http.client.HTTPException, ValueError) as error:
            print(f"{path}: {error}", file=sys.stderr, flush=True)
        time.sleep(_PAUSE_SECONDS)


def _follow_once(layout: Layout, path: str, changed: Callable[[Objects], None]) -> None:
    connection = api.connect(layout, "policy-agent", _SILENCE_SECONDS)
    try:
        connection.request("GET", f"{path}?{_OPTIONS}")
        answer = connection.getresponse()
        if answer.status != http.client.OK:
            raise ValueError(f"{answer.status} {answer.read()[:300]!r}")
        for objects in replay(answer):
            changed(objects)
    finally:
        connection.close()


def replay(lines: Iterator[bytes] | http.client.HTTPResponse) -> Iterator[Objects]:
    """All objects after every event, from the moment when the initial list is complete.

    Raises:
        ValueError: the server ended the watch with an error.
    """
    objects: Objects = {}
    complete = False
    for line in lines:
        event = json.loads(line)
        found = event["object"]
        if event["type"] == "ERROR":
            raise ValueError(found.get("message", "watch error"))
        if event["type"] == "BOOKMARK":
            if _INITIAL_EVENTS_END not in found["metadata"].get("annotations", {}):
                continue
            complete = True
        elif event["type"] == "DELETED":
            objects.pop(found["metadata"]["uid"], None)
        else:
            objects[found["metadata"]["uid"]] = found
        if complete:
            yield dict(objects)
