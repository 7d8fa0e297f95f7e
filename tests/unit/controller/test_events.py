"""Events: few, aggregated, bounded."""

from __future__ import annotations

import asyncio
from typing import Any

from pluginsandbox.controller.errors import RetryError
from pluginsandbox.controller.events import (
    BURST,
    MAX_NOTE,
    QUEUED,
    REPEAT_SECONDS,
    Announcement,
    Recorder,
)
from pluginsandbox.controller.kinds import Key, Kind

KEY = Key("team", "shop")


class Server:
    def __init__(self) -> None:
        self.created: list[dict[str, Any]] = []
        self.merged: list[dict[str, Any]] = []
        self.down = False

    async def create(self, _: Kind, body: dict[str, Any]) -> dict[str, Any]:
        if self.down:
            raise RetryError("no answer")
        self.created.append(body)
        return body

    async def merge(self, _: Kind, namespace: str, name: str, body: dict[str, Any]) -> None:
        self.merged.append({"namespace": namespace, "name": name, **body})


def trouble(note: str = "why") -> Announcement:
    return Announcement("Warning", "SourceMissing", "Reconcile", note)


async def post(recorder: Recorder) -> None:
    task = asyncio.create_task(recorder.run())
    for _ in range(200):
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_the_same_again_is_counted_and_written_once_in_a_while() -> None:
    server, clock = Server(), [0.0]
    recorder = Recorder(server, "me", lambda: clock[0])  # type: ignore[arg-type]
    recorder.announce(KEY, "u", trouble())
    await post(recorder)
    for _ in range(5):
        recorder.announce(KEY, "u", trouble())
    await post(recorder)
    assert len(server.created) == 1
    assert not server.merged
    clock[0] = REPEAT_SECONDS
    recorder.announce(KEY, "u", trouble())
    await post(recorder)
    (merged,) = server.merged
    assert merged["name"] == server.created[0]["metadata"]["name"]
    assert merged["series"]["count"] == 7


async def test_an_event_is_about_the_sandbox_and_fits() -> None:
    server = Server()
    recorder = Recorder(server, "i" * 300, lambda: 0.0)  # type: ignore[arg-type]
    recorder.announce(KEY, "u", trouble("n" * 5000))
    await post(recorder)
    (event,) = server.created
    assert event["regarding"]["uid"] == "u"
    assert event["type"] == "Warning"
    assert len(event["note"]) == MAX_NOTE
    assert len(event["reportingInstance"]) == 128


async def test_a_storm_is_paced_and_bounded_and_never_waits() -> None:
    server = Server()
    recorder = Recorder(server, "me", lambda: 0.0)  # type: ignore[arg-type]
    for number in range(QUEUED + 50):
        recorder.announce(KEY, "u", trouble(str(number)))
    await post(recorder)
    assert len(server.created) == BURST


async def test_an_event_that_cannot_be_posted_is_no_trouble() -> None:
    server = Server()
    server.down = True
    recorder = Recorder(server, "me", lambda: 0.0)  # type: ignore[arg-type]
    recorder.announce(KEY, "u", trouble("a"))
    await post(recorder)
    server.down = False
    recorder.announce(KEY, "u", trouble("b"))
    await post(recorder)
    assert [event["note"] for event in server.created] == ["b"]
