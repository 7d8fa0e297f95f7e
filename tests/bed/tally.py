"""Calls a sandbox without pause in many contexts, and keeps the books on what each answers.

It runs in a pod of its own, sent there as text, so it needs nothing but the standard library:
`python3 -c TEXT URL CONTEXTS CONNECTIONS`. It calls until its standard input ends and then prints
the books as one JSON line. Each context has one writer, which calls in turn; the plugins
(`sandboxes.tally`) answer with their binding's token, the count in it and their process. Half of
the contexts are the plugin `keep`'s, whose state is durable and must outlive the pods it was in.
"""

from __future__ import annotations

import asyncio
import json
import sys
import threading
import time
import urllib.parse
from typing import Any

PLUGINS = ("tally", "keep")
DURABLE = "keep"
CALLS_PER_CONNECTION = 25
"""Then the next connection may lead to another pod."""
ANSWER_SECONDS = 45
MAX_SECONDS = 560
"""It ends by itself."""
MAX_NOTES = 30


class Ledger:
    """What each context was told, and what of it cannot be right.

    Attributes:
        calls: Answers that counted, and failures.
        failed: Calls without a result.
        lost: Acknowledged calls that later answers know nothing of, although the state was durable
            or its pod is alive.
        twice: Contexts found bound in two places, or calls that were carried out twice.

    """

    def __init__(self) -> None:
        self.calls = 0
        self.failed = 0
        self.lost = 0
        self.twice = 0
        self.renewed = 0
        self.notes: list[str] = []
        self._last: dict[str, dict[str, Any]] = {}
        self._tokens: dict[str, set[str]] = {}
        self._ends: list[tuple[str, str]] = []

    def fail(self, context: str, why: str) -> None:
        """Take down a call that was not answered with a result; it may have been carried out."""
        self.calls += 1
        self.failed += 1
        self._note(f"failed: {context}: {why}")
        if context in self._last:
            self._last[context]["slack"] += 1

    def take(self, context: str, token: str, count: int, process: str) -> None:
        """Take down an answer.

        Args:
            context: That was called.
            token: Made when its state was, at random.
            count: Calls that this state has seen.
            process: Where the state is.

        """
        self.calls += 1
        last = self._last.get(context)
        tokens = self._tokens.setdefault(context, set())
        if last is not None and token == last["token"]:
            self._same(context, last, count)
        elif token in tokens:
            self.twice += 1
            self._note(f"twice: {context} came back to an older state ({count} calls)")
        elif last is not None:
            self._anew(context, last, count)
        tokens.add(token)
        self._last[context] = {"token": token, "count": count, "process": process, "slack": 0}

    def _same(self, context: str, last: dict[str, Any], count: int) -> None:
        if count <= last["count"]:
            self.lost += 1
            self._note(f"lost: {context} went from {last['count']} to {count}")
        elif count > last["count"] + 1 + last["slack"]:
            self.twice += 1
            self._note(f"twice: {context} went from {last['count']} to {count}")

    def _anew(self, context: str, last: dict[str, Any], count: int) -> None:
        self.renewed += 1
        if context.startswith(DURABLE):
            self.lost += 1
            self._note(f"lost: {context} was durable and began anew after {last['count']} calls")
        else:
            self._ends.append((context, last["process"]))
        if count > 1 + last["slack"]:
            self.twice += 1
            self._note(f"twice: {context} began with {count} calls")

    def release(self, context: str) -> None:
        """Forget a context that its caller gave back."""
        self._last.pop(context, None)
        self._tokens.pop(context, None)

    def close(self, alive: set[str]) -> None:
        """Count the states that ended although their process lives on.

        Args:
            alive: Processes that answered at the end.

        """
        for context, process in self._ends:
            if process in alive:
                self.lost += 1
                self._note(f"lost: {context} was bound anew although {process} lives")

    def processes(self) -> list[str]:
        """Return the processes that hold the contexts now."""
        return sorted({each["process"] for each in self._last.values()})

    def books(self) -> dict[str, Any]:
        """Return all of it as plain data."""
        numbers = {name: getattr(self, name) for name in ("calls", "failed", "lost", "twice")}
        return {**numbers, "renewed": self.renewed, "notes": self.notes}

    def _note(self, text: str) -> None:
        if len(self.notes) < MAX_NOTES:
            self.notes.append(f"{time.strftime('%H:%M:%S')} {text}")


class Connection:
    """One connection at a time; closed connections are noticed before a call, not by it."""

    def __init__(self, host: str, port: int) -> None:
        self._place = (host, port)
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self._left = 0

    async def request(self, method: str, path: str, context: str) -> tuple[int, bytes]:
        """Send a request of a context; return status and body."""
        reader, writer = await self._open()
        body = "{}" if method == "POST" else ""
        head = (
            f"{method} {path} HTTP/1.1\r\nHost: {self._place[0]}\r\nSandbox-Context: {context}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n{body}"
        )
        try:
            writer.write(head.encode())
            status, headers, answer = await asyncio.wait_for(_answer(reader), ANSWER_SECONDS)
        except BaseException:
            self.close()
            raise
        self._left -= 1
        if headers.get("connection", "").lower() == "close":
            self.close()
        return status, answer

    async def _open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if self._streams is not None and (self._left <= 0 or self._streams[0].at_eof()):
            self.close()
        if self._streams is None:
            self._streams = await asyncio.wait_for(asyncio.open_connection(*self._place), 10)
            self._left = CALLS_PER_CONNECTION
        return self._streams

    def close(self) -> None:
        """Close it."""
        if self._streams is not None:
            self._streams[1].close()
        self._streams = None


async def _answer(reader: asyncio.StreamReader) -> tuple[int, dict[str, str], bytes]:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    pairs = (line.partition(":") for line in head[1:] if line)
    headers = {name.strip().lower(): value.strip() for name, _, value in pairs}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return int(head[0].split()[1]), headers, body


async def write(
    url: str, ledger: Ledger, contexts: list[str], stop: asyncio.Event, *, rounds: int | None = None
) -> None:
    """Call a few contexts in turn until told to stop, or so many times each."""
    place = urllib.parse.urlsplit(url)
    connection = Connection(place.hostname or "", place.port or 80)
    turn = 0
    while not stop.is_set() and (rounds is None or turn < rounds):
        turn += 1
        for context in contexts:
            if stop.is_set() and rounds is None:
                break
            try:
                plugin = context.partition("-")[0]
                path = f"/v1/plugins/{plugin}/functions/add"
                status, body = await connection.request("POST", path, context)
            except (OSError, EOFError, TimeoutError, ValueError) as error:
                ledger.fail(context, f"{type(error).__name__} {error}")
                await asyncio.sleep(0.05)
                continue
            if status == 200:
                ledger.take(context, *json.loads(body))
            else:
                ledger.fail(context, f"{status} {body[:300].decode(errors='replace')}")
                await asyncio.sleep(0.05)
    connection.close()


async def tell(ledger: Ledger, stop: asyncio.Event) -> None:
    """Print the number of calls every second, so that it can be waited for."""
    while not stop.is_set():
        print(json.dumps({"calls": ledger.calls, "failed": ledger.failed}), flush=True)
        await asyncio.sleep(1)


def _listen(loop: asyncio.AbstractEventLoop, stop: asyncio.Event) -> None:
    sys.stdin.read()
    loop.call_soon_threadsafe(stop.set)


async def main(url: str, contexts: int, connections: int) -> None:
    """Call until standard input ends, then once more in each context; print the books."""
    ledger, stop = Ledger(), asyncio.Event()
    loop = asyncio.get_running_loop()
    threading.Thread(target=_listen, args=(loop, stop), daemon=True).start()
    loop.call_later(MAX_SECONDS, stop.set)
    names = [f"{PLUGINS[n % len(PLUGINS)]}-{n}" for n in range(contexts)]
    shares = [names[i::connections] for i in range(connections)]
    await asyncio.gather(tell(ledger, stop), *(write(url, ledger, share, stop) for share in shares))
    await asyncio.gather(
        *(write(url, ledger, share, asyncio.Event(), rounds=1) for share in shares)
    )
    ledger.close(set(ledger.processes()))
    print(json.dumps({**ledger.books(), "processes": ledger.processes()}), flush=True)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
