"""Attacks that take more than one call: each returns what got through, or nothing."""

from __future__ import annotations

import http.client
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from pluginsandbox.host.notices import CALLS_PER_SECOND as REFUSALS_PER_SECOND
from tests.hostile.door import Answer, until
from tests.hostile.record import PROTOCOL, TIMEOUT
from tests.hostile.sandbox import MEMORY

if TYPE_CHECKING:
    from tests.hostile.arena import Arena

Scene = Callable[["Arena"], str]
_LARGE = 900_000
_PAYLOADS = 40


def _live(arena: Arena, plugin: str, context: str) -> Answer:
    """Count on in a binding that must still be there."""
    named = {"Sandbox-Context": context, "Sandbox-Bind": "existing"}
    return arena.door.send(plugin, "add", named, {})


# --- time ----------------------------------------------------------------------------------------


def step_one(code: str) -> Scene:
    """Return a scene in which an exception inside the call is enough: the worker keeps all."""

    def scene(arena: Arena) -> str:
        mine, other = arena.context(), arena.context()
        counts = {each: arena.door.call("hasty", "add", each).body for each in (mine, other)}
        late = arena.run(code, mine, "hasty")
        if late.end != TIMEOUT:
            return f"it ended by {late.end}: {late.body}"
        for context, count in counts.items():
            after = _live(arena, "hasty", context)
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
        lost = _live(arena, "hasty", other)
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
    after = _live(arena, "hasty", other)
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
    gone = _live(arena, "hostile", context)
    return "" if gone.status == http.client.GONE else f"it is still there: {gone.body}"


def endless_panic(arena: Arena) -> str:
    """Raise in a context whose on_panic never ends."""
    context, other = arena.context("endless-panic"), arena.context()
    for each in (context, other):
        arena.door.call("hasty", "add", each)
    raised = arena.run("raise ValueError('panic')", context, "hasty")
    if raised.body.get("exception") != "ValueError":
        return f"it ended with {raised.status} {raised.body}"
    after = _live(arena, "hasty", other)
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
    left = _live(arena, "hostile", context)
    if left.status != http.client.GONE:
        return f"its context is still there: {left.body}"
    return "" if until(lambda: not arena.alive(int(pid))) else f"process {pid} is still there"


# --- what is loaded ------------------------------------------------------------------------------


def _refused(arena: Arena, name: str, *words: str) -> str:
    """Return what is wrong if a plugin of the second host was not refused with these words."""
    door = arena.broken()

    def told() -> dict[str, str]:
        found: list[dict[str, str]] = door.stats()["plugins"]
        return next(each for each in found if each["name"] == name)

    if not until(lambda: told()["state"] == "Failed"):
        return f"it is {told()['state']}"
    if not any(word in told()["message"] for word in words):
        return f"it was refused for another reason: {told()['message']}"
    served = door.call("victim", "add", "early").status
    return "" if served == 200 else f"the victim beside it answers {served}"


def root_that_is_a_link(arena: Arena) -> str:
    """Load a plugin whose directory is a link to the directory of all plugins."""
    return _refused(arena, "linker", "symbolic link")


def link_among_its_files(arena: Arena) -> str:
    """Load a plugin that has a link to a neighbour's secret among its files."""
    return _refused(arena, "linked", "not a plain file below")


def forge_while_imported(arena: Arena) -> str:
    """Load a plugin that says for itself which functions it has."""
    return _refused(arena, "liar", "before it was behind the whole wall")


def endless_import(arena: Arena) -> str:
    """Load a plugin whose import never ends."""
    return _refused(arena, "sleeper", "did not end within")


def die_again_and_again(arena: Arena) -> str:
    """Have warm workers die as soon as they serve: the host must not fork without end."""
    door = arena.broken()

    def deaths() -> float:
        return door.metric("worker_exits_total", plugin="dier")

    if not until(lambda: deaths() >= 4):
        return f"only {deaths()} died: the attack does not work"
    # From here on each wait is longer than the last: 0.2, 0.4, 0.8 s and more.
    before = deaths()
    until(lambda: deaths() > before + 20, seconds=3)
    more = deaths() - before
    return "" if more <= 20 else f"{more:.0f} workers were started for it in 3 s"


# --- what others share ---------------------------------------------------------------------------


def mark_on_shared_descriptor(arena: Arena) -> str:
    """Change the flags of standard input; see whether a neighbour's change with it."""
    before = arena.door.call("victim", "flags", "a").body
    context = arena.context()
    done = arena.run(
        "import fcntl\nflags = fcntl.fcntl(0, fcntl.F_GETFL) ^ os.O_APPEND ^ os.O_NONBLOCK\n"
        "fcntl.fcntl(0, fcntl.F_SETFL, flags)\n"
        "if fcntl.fcntl(0, fcntl.F_GETFL) != flags: raise RuntimeError('no mark was left')",
        context,
    )
    arena.door.release(context)
    after = arena.door.call("victim", "flags", "a").body
    if done.status != 200:
        return f"the attack does not work: {done.body}"
    return "" if after == before else f"the victim's flags went from {before} to {after}"


def keep_payloads(arena: Arena) -> str:
    """Keep every descriptor and mapping of large arguments and results, call after call."""
    context = arena.context()
    arena.run(
        """
import builtins, mmap
from pluginsandbox.host import segments
builtins.kept = kept = []
def take_all(descriptor):
    data = os.pread(descriptor, os.fstat(descriptor).st_size, 0)
    kept.append(mmap.mmap(descriptor, len(data), prot=mmap.PROT_READ))
    os.close(descriptor)
    return data
def fill(descriptor, payload):
    mapped = mmap.mmap(descriptor, len(payload))
    mapped[:] = payload
    kept.append(mapped)
    os.close(descriptor)
segments.take_all, segments.fill = take_all, fill
""",
        context,
    )
    process = int(arena.run("got = os.getpid()", context).body)
    before = arena.shared_memory(process)
    for _ in range(_PAYLOADS):
        arena.door.call("hostile", "size", context, text="x" * _LARGE)
        large = arena.run("got = 'x' * (1 << 20 | 1)", context)
        if large.status not in {200, 500}:
            return f"the attack does not work: {large.status} {large.body}"
    held = arena.run("import builtins; got = len(builtins.kept)", context).body
    grown = arena.shared_memory(process) - before
    arena.door.release(context)
    if int(held) < _PAYLOADS:
        return f"the attack does not work: it kept {held}"
    return "" if grown < _PAYLOADS * _LARGE // 2 else f"it kept {grown >> 20} MiB past its limit"


def many_at_the_limit(arena: Arena) -> str:
    """Have many workers take all they can, at once, and keep it."""
    code = """
import builtins
builtins.kept = kept = []
try:
    while True: kept.append(bytearray(1 << 20))
except MemoryError:
    del kept[-1:]
if len(kept) > LIMIT: got = len(kept)
""".replace("LIMIT", str(MEMORY >> 20))
    contexts = [arena.context() for _ in range(8)]
    try:
        with ThreadPoolExecutor(len(contexts)) as pool:
            answers = list(pool.map(lambda context: arena.run(code, context), contexts))
    finally:
        for context in contexts:
            arena.door.release(context)
    over = [answer.body for answer in answers if answer.status == 200 and answer.body]
    odd = [answer.body for answer in answers if answer.status not in {200, 500, 502}]
    return f"MiB over the limit: {over}; odd: {odd}" if over or odd else ""


def flood_the_log(arena: Arena) -> str:
    """Print far more lines than anybody reads."""
    context, before = arena.context(), len(arena.log())
    flood = "for n in range(50_000): print('flood', n)"
    answer = arena.run(flood, context)
    arena.door.release(context)
    written = len(arena.log()) - before
    if answer.status not in {200, 502}:
        return f"it ended with {answer.status} {answer.body}"
    return "" if written < 2000 else f"{written} lines came into the host's log"


def burn_between_calls(arena: Arena) -> str:
    """Leave a signal handler behind that loops when no call is there."""
    context = arena.context()
    arena.run(
        "import signal\ndef burn(*_):\n    while True: pass\n"
        "signal.signal(signal.SIGALRM, burn); signal.setitimer(signal.ITIMER_REAL, 0.05)",
        context,
    )
    return _ended_by_the_host(arena, context)


def burn_after_the_answer(arena: Arena) -> str:
    """Forge the answer of the call itself, then loop where no call's clock runs."""
    context = arena.context()
    arena.door.call("hostile", "add", context)
    answer = arena.run("send([3, self.number(), 0, b'\"\"'])\nwhile True: pass", context)
    if answer.status != 200:
        return f"the attack does not work: {answer.body}"
    return _ended_by_the_host(arena, context)


def _ended_by_the_host(arena: Arena, context: str) -> str:
    """Wait until the host has ended the worker of a context without being asked anything."""

    def bound() -> bool:
        seen = arena.door.request("GET", f"/v1/contexts/{context}")
        return seen.status == 200 and bool(seen.body["bindings"])

    if until(lambda: not bound(), seconds=20):
        return ""
    arena.door.release(context)
    return "it burns the CPU although no call is with it"


def keep_the_host_refusing(arena: Arena) -> str:
    """Interrupt each refused call while it waits for the host's word, to ask again at once."""

    def asked() -> float:
        return arena.door.metric("denials_total", plugin="hostile", kind="notify")

    context, before = arena.context(), asked()
    code = """
import signal, time
signal.signal(signal.SIGALRM, lambda *_: None)
signal.siginterrupt(signal.SIGALRM, False)
signal.setitimer(signal.ITIMER_REAL, 2e-4, 2e-4)
end = time.monotonic() + 2
while time.monotonic() < end:
    try: os.kill(1, 0)
    except PermissionError: pass
"""
    arena.run(code, context)
    arena.door.release(context)
    times = asked() - before
    if times < REFUSALS_PER_SECOND:
        return f"the attack does not work: it asked {times:.0f} times"
    # Two seconds may touch three, and the call is ended a while after its time.
    return "" if times <= 4 * REFUSALS_PER_SECOND else f"it asked the host {times:.0f} times"


def use_up_descriptors(arena: Arena) -> str:
    """Ask for payloads by the dozen and die; the host must have no descriptor left over."""

    def once() -> None:
        context = arena.context()
        arena.run("send([6, self.number(), 70_000])\nos._exit(0)", context)
        arena.door.call("hostile", "size", context, text="x" * _LARGE)
        arena.door.release(context)

    once()
    before = arena.host_descriptors()
    for _ in range(10):
        once()
    if until(lambda: arena.host_descriptors() <= before + 4, seconds=20):
        return ""
    return f"the host has {arena.host_descriptors()} descriptors open, {before} before"


# --- what the host believes ----------------------------------------------------------------------


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
    if until(lambda: _live(arena, "hostile", context).status == http.client.GONE):
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


def pretend_another_context(arena: Arena) -> str:
    """Overwrite what the worker is told of its context, then count."""
    context, other = arena.context(), arena.context()
    arena.door.call("hostile", "add", other)
    arena.run(
        f"import types\n"
        f"self.context = types.SimpleNamespace(id={other!r}, tenant='', generation=1)",
        context,
    )
    arena.door.call("hostile", "add", context)
    after = _live(arena, "hostile", other)
    for each in (context, other):
        arena.door.release(each)
    return "" if after.body == 2 else f"the other context counts {after.body}"


def pretend_another_plugin(arena: Arena) -> str:
    """Take the victim's names for its slots, and see what they hold."""
    context = arena.context()
    answer = arena.run(
        """
from pluginsandbox.sdk.keys import plugin_key
key = plugin_key("default", "besieged", "victim")
for name in ("total", "token"):
    slot = getattr(type(self), "total")
    slot.bind_key(key)
if self.total.get() not in (0, 1): got = self.total.get()
""",
        context,
    )
    arena.door.release(context)
    return str(answer.body) if answer.status == 200 and answer.body else ""


def hook_imports(arena: Arena) -> str:
    """Hook imports in one worker; the next one must not know of it."""
    hook = "import sys; sys.meta_path.insert(0, type('Hook', (), {'find_spec': print})())"
    return _left_behind(arena, hook, "import sys; got = 'Hook' in str(sys.meta_path)")


def stay_with_exit_handler(arena: Arena) -> str:
    """Register what loops at the interpreter's end; the worker must end all the same."""
    context = arena.context()
    pid = arena.run("got = os.getpid()", context).body
    arena.run("import atexit\ndef stay():\n    while True: pass\natexit.register(stay)", context)
    arena.door.release(context)
    return "" if until(lambda: not arena.alive(int(pid))) else f"process {pid} is still there"


def trace_lines(arena: Arena) -> str:
    """Trace every line in one worker; the next one must not be traced."""
    trace = "import sys; sys.settrace(lambda *_: None)"
    return _left_behind(arena, trace, "import sys; got = sys.gettrace()")


def _left_behind(arena: Arena, leave: str, find: str) -> str:
    first, second = arena.context(), arena.context()
    arena.run(leave, first)
    found = arena.run(find, second)
    for context in (first, second):
        arena.door.release(context)
    return str(found.body) if found.status != 200 or found.body else ""
