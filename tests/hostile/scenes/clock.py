"""Attacks on time: calls and hooks that never end, and what outlives its context."""

from __future__ import annotations

import http.client
from typing import TYPE_CHECKING

from tests.hostile.door import until
from tests.hostile.record import TIMEOUT
from tests.hostile.scenes import Scene, live

if TYPE_CHECKING:
    from tests.hostile.arena import Arena


def step_one(code: str) -> Scene:
    """Return a scene in which an exception inside the call is enough: the worker keeps all."""

    def scene(arena: Arena) -> str:
        mine, other = arena.context(), arena.context()
        counts = {each: arena.door.call("hasty", "add", each).body for each in (mine, other)}
        late = arena.run(code, mine, "hasty")
        if late.end != TIMEOUT:
            return f"it ended by {late.end}: {late.body}"
        for context, count in counts.items():
            after = live(arena, "hasty", context)
            if after.body != count + 1:
                return f"context {context} lost its state: {after.status} {after.body}"
        for context in counts:
            arena.door.release(context)
        return ""

    return scene


def step_two(code: str) -> Scene:
    """Return a scene in which only the kill helps: the worker's bindings go, no other's."""

    def scene(arena: Arena) -> str:
        mine, other = arena.context(), arena.context()
        for context in (mine, other):
            arena.door.call("hasty", "add", context)
        before = arena.door.metric("worker_exits_total", plugin="hasty", cause="Timeout")
        late = arena.run(code, mine, "hasty")
        if late.end != TIMEOUT or "could not be interrupted" not in late.body["detail"]:
            return f"it ended by {late.end}: {late.body}"
        lost = live(arena, "hasty", other)
        if lost.status != http.client.GONE or lost.body.get("cause") != "Crashed":
            return f"the killed worker's binding answers {lost.status} {lost.body}"
        if arena.door.metric("worker_exits_total", plugin="hasty", cause="Timeout") != before + 1:
            return "the kill is not counted"
        again = arena.door.call("hasty", "add", other)
        for context in (mine, other):
            arena.door.release(context)
        return "" if again.body == 1 else f"the next worker answers {again.status} {again.body}"

    return scene


def endless_start(arena: Arena) -> str:
    """Try a context whose on_start never ends."""
    other = arena.context()
    arena.door.call("hasty", "add", other)
    stuck = arena.door.call("hasty", "add", arena.context("endless-start"))
    if stuck.status != 500 or stuck.body.get("exception") != "CallTimeout":
        return f"it ended with {stuck.status} {stuck.body}"
    after = live(arena, "hasty", other)
    arena.door.release(other)
    return "" if after.body == 2 else f"another context lost its state: {after.body}"


def endless_exit(arena: Arena) -> str:
    """Give a context back whose on_exit never ends, nor lets itself be interrupted."""
    code = """
self.farewell.set('''
while True:
    try:
        while True: pass
    except BaseException:
        pass
''')
"""
    context = arena.context()
    arena.run(code, context)
    ended = arena.door.request("DELETE", f"/v1/contexts/{context}")
    if ended.status != 200 or not ended.body["reclaimed"]:
        return f"it was not given back: {ended.body}"
    gone = live(arena, "hostile", context)
    return "" if gone.status == http.client.GONE else f"it is still there: {gone.body}"


def endless_panic(arena: Arena) -> str:
    """Raise in a context whose on_panic never ends."""
    context, other = arena.context("endless-panic"), arena.context()
    for each in (context, other):
        arena.door.call("hasty", "add", each)
    raised = arena.run("raise ValueError('panic')", context, "hasty")
    if raised.body.get("exception") != "ValueError":
        return f"it ended with {raised.status} {raised.body}"
    after = live(arena, "hasty", other)
    for each in (context, other):
        arena.door.release(each)
    return "" if after.body == 2 else f"another context lost its state: {after.body}"


def outlive_the_context(arena: Arena) -> str:
    """Keep a worker running after its context has ended."""
    context = arena.context()
    # Its own number, to look for it afterwards; ignoring every signal, and deaf to the end.
    pid = arena.run("got = os.getpid()", context).body
    arena.run(
        "import signal\nfor n in set(range(1, 32)) - {9, 19}: signal.signal(n, signal.SIG_IGN)\n"
        "self.farewell.set('while True: pass')",
        context,
    )
    arena.door.release(context)
    left = live(arena, "hostile", context)
    if left.status != http.client.GONE:
        return f"its context is still there: {left.body}"
    return "" if until(lambda: not arena.alive(int(pid))) else f"process {pid} is still there"
