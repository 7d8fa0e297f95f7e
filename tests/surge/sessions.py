"""Callers of a sandbox whose number steps up and down, and the books on what they were told.

It runs in a pod, sent there as text behind `tests/bed/tally.py`:
`URL FEW MANY`. Each caller has one session after the other: a context of its own with a few calls,
then it is released. FEW callers begin at once; a line `up` on standard input makes them MANY, a
line `down` lets those go when their session is over, and its end lets all go. What it prints are
JSON lines: one twice a second, and the books at the end.
"""

from __future__ import annotations

import asyncio
import json
import sys
import threading
import time
import urllib.parse
from typing import Any

from tests.bed.tally import Connection, Ledger

CALL_SECONDS = 1.0
"""As the plugin rests."""
CALLS = 4
"""In a session."""
TELL_SECONDS = 0.5
MAX_SECONDS = 2400
"""It ends by itself: five runs take half of that on a quiet machine."""


class Callers:
    """All callers, and what they see.

    Args:
        url: Of the sandbox.

    """

    def __init__(self, url: str) -> None:
        place = urllib.parse.urlsplit(url)
        self._place = (place.hostname or "", place.port or 80)
        self._began: dict[str, float] = {}
        self._waited: list[float] = []
        self._tasks: list[asyncio.Task[None]] = []
        self.ledger = Ledger()

    def add(self, count: int, stop: asyncio.Event) -> None:
        """Begin so many callers more."""
        first = len(self._tasks)
        names = range(first, first + count)
        self._tasks += [asyncio.create_task(self._call(f"keep-{n}", stop)) for n in names]

    async def end(self) -> None:
        """Wait until every session is over."""
        await asyncio.gather(*self._tasks)

    def tell(self) -> dict[str, Any]:
        """Return what was seen since the last time; seconds that calls waited, the longest last."""
        now = time.monotonic()
        overdue = sum(now - began > CALL_SECONDS * 1.1 for began in self._began.values())
        waited, self._waited = sorted(self._waited), []
        seen = {"calls": self.ledger.calls, "failed": self.ledger.failed, "waiting": overdue}
        return {"at": time.time(), "waited": [round(each, 3) for each in waited], **seen}

    async def _call(self, caller: str, stop: asyncio.Event) -> None:
        connection, session = Connection(*self._place), 0
        while not stop.is_set():
            session += 1
            await self._session(connection, f"{caller}-{session}")
        connection.close()

    async def _session(self, connection: Connection, context: str) -> None:
        for _ in range(CALLS):
            self._began[context] = began = time.monotonic()
            try:
                path = "/v1/plugins/keep/functions/add"
                status, body = await connection.request("POST", path, context)
            except (OSError, EOFError, TimeoutError, ValueError) as error:
                self.ledger.fail(context, f"{type(error).__name__} {error}")
                continue
            finally:
                del self._began[context]
            if status == 200:
                self._waited.append(max(0.0, time.monotonic() - began - CALL_SECONDS))
                self.ledger.take(context, *json.loads(body))
            else:
                self.ledger.fail(context, f"{status} {body[:300].decode(errors='replace')}")
        await self._release(connection, context)

    async def _release(self, connection: Connection, context: str) -> None:
        try:
            status, body = await connection.request("DELETE", f"/v1/contexts/{context}", context)
        except (OSError, EOFError, TimeoutError, ValueError) as error:
            self.ledger.fail(context, f"not released: {type(error).__name__} {error}")
        else:
            if status >= 300:
                self.ledger.fail(context, f"not released: {status} {body[:300]!r}")
        self.ledger.release(context)


def _listen(loop: asyncio.AbstractEventLoop, words: asyncio.Queue[str]) -> None:
    for line in sys.stdin:
        loop.call_soon_threadsafe(words.put_nowait, line.strip())
    loop.call_soon_threadsafe(words.put_nowait, "end")


async def _tell(callers: Callers) -> None:
    while True:
        print(json.dumps(callers.tell()), flush=True)
        await asyncio.sleep(TELL_SECONDS)


async def main(url: str, few: int, many: int) -> None:
    """Call until standard input ends; print the books."""
    callers, words = Callers(url), asyncio.Queue[str]()
    loop = asyncio.get_running_loop()
    threading.Thread(target=_listen, args=(loop, words), daemon=True).start()
    loop.call_later(MAX_SECONDS, words.put_nowait, "end")
    stay, surge = asyncio.Event(), asyncio.Event()
    callers.add(few, stay)
    telling = asyncio.create_task(_tell(callers))
    while (word := await words.get()) != "end":
        if word == "up":
            surge = asyncio.Event()
            print(json.dumps({"up": time.time()}), flush=True)
            callers.add(many - few, surge)
        else:
            print(json.dumps({"down": time.time()}), flush=True)
            surge.set()
    surge.set()
    stay.set()
    await callers.end()
    telling.cancel()
    print(json.dumps({"books": callers.ledger.books()}), flush=True)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
