"""Everything that Python itself lets a plugin do to the process that it runs in."""

from __future__ import annotations

from tests.hostile.record import (
    DENIED,
    DIED,
    NOTHING,
    PROCESS,
    PROTOCOL,
    SECCOMP,
    TIMEOUT,
    Attack,
)
from tests.hostile.scenes import interpreter

GROUP = "interpreter"

ATTACKS = (
    Attack(
        "find neighbours' objects through the garbage collector",
        GROUP,
        PROCESS,
        """
import gc, re
pattern = re.compile("V" + "ICTIM-[0-9a-f]{32}")
PLANT
def texts():
    for found in gc.get_objects():
        if isinstance(found, dict):
            yield from (v for v in list(found.values()) if isinstance(v, str))
got = sorted({t for t in texts() if pattern.search(t)})
""".replace("PLANT", ""),
        (NOTHING,),
        control="""
import gc, re
pattern = re.compile("V" + "ICTIM-[0-9a-f]{32}")
planted = {"a": "V" + "ICTIM-" + "0" * 32, "b": []}
got = [v for d in gc.get_objects() if isinstance(d, dict)
       for v in list(d.values()) if isinstance(v, str) and pattern.search(v)]
""",
        quick=True,
    ),
    Attack(
        "find a neighbour's modules",
        GROUP,
        PROCESS,
        "import sys; got = [name for name in sys.modules if 'victim' in name]",
        (NOTHING,),
        control="import sys; sys.modules['victim'] = sys; got = 'victim' in sys.modules",
    ),
    Attack(
        "find the host's keys and tables in its modules",
        GROUP,
        PROCESS,
        """
import sys
names = ("hashes", "contexts", "invoke", "assembly", "server", "door_http", "python_runtime")
got = [name for name in names if "pluginsandbox.host." + name in sys.modules]
""",
        (NOTHING,),
        control=None,
    ),
    Attack(
        "find other contexts in the frames above it",
        GROUP,
        PROCESS,
        """
import sys
frame, got = sys._getframe(), []
while frame:
    server = frame.f_locals.get("self")
    bindings = getattr(server, "_bindings", {})
    got += [b.instance.context.id for b in bindings.values() if b.instance is not self]
    frame = frame.f_back
""",
        (NOTHING,),
        control=None,
    ),
    Attack(
        "find a neighbour's environment in its own",
        GROUP,
        PROCESS,
        "got = set(os.environ) - {'PYTHONPATH', 'LANG', 'LC_CTYPE', 'TZ'}",
        (NOTHING,),
    ),
    Attack(
        "pretend to be another context",
        GROUP,
        PROCESS,
        drive=interpreter.pretend_another_context,
        control=None,
    ),
    Attack(
        "pretend to be another plugin",
        GROUP,
        PROCESS,
        drive=interpreter.pretend_another_plugin,
        control=None,
    ),
    Attack(
        "replace the SDK's clock",
        GROUP,
        "the two clocks",
        """
from pluginsandbox.sdk import deadline
import signal, time
deadline.Deadline._ring = lambda *_: None
signal.setitimer(signal.ITIMER_REAL, 0)
time.monotonic = lambda: 0.0
while True: pass
""",
        (TIMEOUT,),
        control=None,
    ),
    Attack(
        "replace what the SDK encodes with",
        GROUP,
        "the frame's check",
        """
from pluginsandbox.host import channel
channel.Channel.send = lambda self, frame: os.write(3, b"replaced")
""",
        (PROTOCOL,),
        control=None,
    ),
    Attack(
        "catch every exception, so that no call ends",
        GROUP,
        "the two clocks",
        """
while True:
    try:
        while True: pass
    except BaseException:
        pass
""",
        (TIMEOUT,),
        control=None,
    ),
    Attack(
        "hook imports, to see what others import",
        GROUP,
        PROCESS,
        drive=interpreter.hook_imports,
        control=None,
    ),
    Attack(
        "stay behind with an exit handler",
        GROUP,
        PROCESS,
        drive=interpreter.stay_with_exit_handler,
        control="import atexit; atexit.register(print, 'stayed'); got = 'registered'",
    ),
    Attack(
        "trace every line that runs after it",
        GROUP,
        PROCESS,
        drive=interpreter.trace_lines,
        control="import sys; sys.settrace(lambda *_: None); got = sys.gettrace()",
    ),
    Attack(
        "leave the call by exiting",
        GROUP,
        PROCESS,
        "raise SystemExit(0)",
        ("SystemExit",),
        control=None,
    ),
    Attack(
        "leave the call by an interrupt",
        GROUP,
        PROCESS,
        "raise KeyboardInterrupt",
        ("KeyboardInterrupt",),
        control=None,
    ),
    Attack("end the process", GROUP, PROCESS, "os._exit(0)", (DIED,), control=None),
    Attack(
        "read from nowhere",
        GROUP,
        PROCESS,
        "got = ctypes.string_at(0)",
        (DIED,),
        control=None,
        quick=True,
    ),
    Attack(
        "overwrite the interpreter",
        GROUP,
        PROCESS,
        "ctypes.memset(id(None), 0xff, 64); got = None is None and 0",
        (DIED, NOTHING, PROTOCOL, DENIED, TIMEOUT, "SystemError", "TypeError"),
        control=None,
    ),
    Attack(
        "make code of its own and call it",
        GROUP,
        SECCOMP,
        """
import mmap
page = mmap.mmap(-1, 4096, 0x22, 3)
page.write(bytes((0xc3,)))
address = ctypes.addressof(ctypes.c_char.from_buffer(page))
libc.mprotect.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
if libc.mprotect(address, 4096, 5): raise PermissionError("not executable")
ctypes.CFUNCTYPE(None)(address)(); got = 'ran'
""",
    ),
    Attack(
        "run code from what it is told",
        GROUP,
        PROCESS,
        "import pickle; got = pickle.loads(b'cos\\nfork\\n(tR.') or os._exit(0)",
    ),
)
