"""Attacks on what all workers of a host share: memory, descriptors, the CPU, the log."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from pluginsandbox.host.notices import CALLS_PER_SECOND as REFUSALS_PER_SECOND
from tests.hostile.door import until
from tests.hostile.sandbox import MEMORY

if TYPE_CHECKING:
    from tests.hostile.arena import Arena

_LARGE = 900_000
_PAYLOADS = 40


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
