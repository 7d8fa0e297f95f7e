"""Attacks on what the host believes of a worker: forged and doubled answers, forged lines."""

from __future__ import annotations

import http.client
import json
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from tests.hostile.door import until
from tests.hostile.record import PROTOCOL
from tests.hostile.scenes import live

if TYPE_CHECKING:
    from tests.hostile.arena import Arena


def answer_others_calls(arena: Arena) -> str:
    """Answer calls that wait behind this one, before they ran."""
    contexts = [arena.context() for _ in range(3)]
    for context in contexts:
        arena.door.call("hasty", "add", context)
    code = """
import time
for number in range(self.number() + 1, self.number() + 40): send([3, number, 0, b'"forged"'])
time.sleep(9)
"""
    with ThreadPoolExecutor(3) as pool:
        first = pool.submit(arena.run, code, contexts[0], "hasty")
        others = [pool.submit(arena.door.call, "hasty", "add", each) for each in contexts[1:]]
        ends = [first.result().end, *(other.result().end for other in others)]
        forged = [other.result().body for other in others if other.result().body == "forged"]
    for context in contexts:
        arena.door.release(context)
    if forged:
        return f"callers were told {forged}"
    return "" if ends[0] == PROTOCOL else f"it ended by {ends[0]}"


def answer_twice(arena: Arena) -> str:
    """Answer the own call by hand, twice: the first answer counts, the second is the end."""
    context = arena.context()
    arena.door.call("hostile", "add", context)
    code = "number = self.number()\nfor _ in range(2): send([3, number, 0, b'\"7\"'])"
    answer = arena.run(code + "\nimport time\ntime.sleep(30)", context)
    if answer.body != "7" and answer.end != PROTOCOL:
        return f"it ended by {answer.end}: {answer.body}"
    if until(lambda: live(arena, "hostile", context).status == http.client.GONE):
        return ""
    return "its worker lives on"


def honest_frame_is_taken_for_its_own_call(arena: Arena) -> str:
    """Answer by hand as if for the victim: the host's own table says whose call it was."""
    context = arena.context()
    arena.door.call("hostile", "add", context)
    victims = arena.door.call("victim", "add", "forged").body
    code = "send([3, self.number(), 0, b'\"mine\"'])\nimport time\ntime.sleep(30)"
    answer = arena.run(code, context)
    after = arena.door.call("victim", "add", "forged").body
    for each in (context, "forged"):
        arena.door.release(each)
    if answer.body != "mine":
        return f"the attack does not work: {answer.body}"
    return "" if after == victims + 1 else f"the victim's caller was told {after}"


def header_in_an_error(arena: Arena) -> str:
    """Name an exception so that its answer would get another header."""
    context = arena.context()
    name = "E\\r\\nSet-Cookie: stolen=1\\r\\n\\r\\n<html>"
    answer = arena.run(f"raise type('{name}', (Exception,), {{}})('x\\r\\nX-Bad: 1')", context)
    arena.door.release(context)
    bad = [name for name in answer.headers if name in {"set-cookie", "x-bad"}]
    return f"the answer has {bad}" if bad or answer.status != 500 else ""


def forge_log_lines(arena: Arena) -> str:
    """Print what looks like a line of the host's own."""
    context = arena.context()
    lie = json.dumps({"level": "info", "event": "forged by a plugin"})
    arena.run(f"send([7, 'info', 'x\\n' + {lie!r}, 0])\nprint({lie!r})", context)
    arena.door.release(context)
    forged = [line for line in arena.log() if line.startswith(lie)]
    return f"the log has {forged[0]}" if forged else ""
