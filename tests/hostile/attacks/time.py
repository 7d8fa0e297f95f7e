"""Time: step one interrupts the call and keeps the worker, step two kills it."""

from __future__ import annotations

from tests.hostile.record import CLOCK, FATAL, SECCOMP, Attack
from tests.hostile.scenes import clock, loading

GROUP = "time"

ATTACKS = (
    Attack(
        "loop in Python",
        GROUP,
        CLOCK,
        drive=clock.step_one("while True: pass"),
        quick=True,
        control=None,
    ),
    Attack(
        "sleep past the deadline",
        GROUP,
        CLOCK,
        drive=clock.step_one("import time; time.sleep(30)"),
        control="import time; started = time.monotonic(); time.sleep(0.5); got = 'slept'",
    ),
    Attack(
        "wait for what never comes",
        GROUP,
        CLOCK,
        drive=clock.step_one("import select; select.select([], [], [])"),
        control=None,
    ),
    Attack(
        "swallow the first interrupt",
        GROUP,
        CLOCK,
        drive=clock.step_one(
            "import time\ntry:\n    while True: time.sleep(1)\n"
            "except BaseException: pass\nwhile True: pass"
        ),
        control=None,
    ),
    Attack("loop in C", GROUP, CLOCK, drive=clock.step_two("sum(range(10**12))"), control=None),
    Attack(
        "match an expression without end",
        GROUP,
        CLOCK,
        drive=clock.step_one("import re; re.match('(a+)+b', 'a' * 64)"),
        control=None,
    ),
    Attack(
        "loop in C that lets go of the interpreter",
        GROUP,
        CLOCK,
        drive=clock.step_two("import hashlib; hashlib.pbkdf2_hmac('sha256', b'', b'', 2**31 - 1)"),
        control=None,
    ),
    Attack(
        "block all signals",
        GROUP,
        CLOCK,
        drive=clock.step_two(
            "import signal; signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 64))\n"
            "while True: pass"
        ),
        control=None,
    ),
    Attack(
        "ignore all signals",
        GROUP,
        CLOCK,
        drive=clock.step_two(
            "import signal\n"
            "for n in set(range(1, 32)) - {9, 19}: signal.signal(n, signal.SIG_IGN)\n"
            "while True: pass"
        ),
        control=None,
    ),
    Attack(
        "switch the timer off",
        GROUP,
        CLOCK,
        drive=clock.step_two(
            "import signal; signal.setitimer(signal.ITIMER_REAL, 0)\nwhile True: pass"
        ),
        control=None,
    ),
    Attack(
        "never end its start",
        GROUP,
        CLOCK,
        drive=clock.endless_start,
        control=None,
    ),
    Attack(
        "never end its exit",
        GROUP,
        CLOCK,
        drive=clock.endless_exit,
        control=None,
    ),
    Attack(
        "never end when it is told of a panic",
        GROUP,
        CLOCK,
        drive=clock.endless_panic,
        control=None,
    ),
    Attack(
        "never end its import",
        GROUP,
        CLOCK,
        drive=loading.endless_import,
        control=None,
    ),
    Attack(
        "set the machine's time",
        GROUP,
        SECCOMP,
        "got = reached(164, 170, 1, 0)",
        FATAL,
    ),
)
