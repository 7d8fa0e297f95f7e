"""Attacks from inside an interpreter: on the SDK, and on the worker that comes next."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.hostile.door import until
from tests.hostile.scenes import live

if TYPE_CHECKING:
    from tests.hostile.arena import Arena


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
    after = live(arena, "hostile", other)
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
