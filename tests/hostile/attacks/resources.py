"""Using up what others need: memory, CPU, descriptors, disk, the host's own room."""

from __future__ import annotations

from tests.hostile.record import (
    DIED,
    FRAME,
    HOST,
    LIMITS,
    NOTHING,
    PROTOCOL,
    SECCOMP,
    TIMEOUT,
    Attack,
)
from tests.hostile.scenes import loading, sharing

GROUP = "resources"
NO_MEMORY = ("MemoryError",)

ATTACKS = (
    Attack(
        "take more memory than its limit at once",
        GROUP,
        LIMITS,
        "got = len(bytearray(256 << 20))",
        NO_MEMORY,
        quick=True,
    ),
    Attack(
        "take it piece by piece",
        GROUP,
        LIMITS,
        "kept = [bytearray(1 << 20) for _ in range(256)]; got = len(kept)",
        NO_MEMORY,
    ),
    Attack(
        "take it in small objects",
        GROUP,
        LIMITS,
        "kept = []\nfor n in range(2_000_000): kept.append({'key': n})\ngot = len(kept)",
        (*NO_MEMORY, DIED),
    ),
    Attack(
        "take it and never let go",
        GROUP,
        LIMITS,
        """
import builtins
builtins.kept = kept = []
for _ in range(100_000): kept.append(bytearray(4096))
got = len(kept)
""",
        (*NO_MEMORY, DIED),
    ),
    Attack(
        "take it behind the interpreter's back",
        GROUP,
        LIMITS,
        "import mmap; kept = [mmap.mmap(-1, 1 << 20, flags=0x22) for _ in range(256)]; got = 1",
        ("OSError",),
    ),
    Attack(
        "take shared memory, which no limit counts",
        GROUP,
        SECCOMP,
        "import mmap; got = mmap.mmap(-1, 1 << 28)",
    ),
    Attack(
        "take a growing stack, which no limit counts",
        GROUP,
        SECCOMP,
        "import mmap; got = mmap.mmap(-1, 1 << 28, flags=0x122)",
    ),
    Attack(
        "take huge pages",
        GROUP,
        SECCOMP,
        "import mmap; got = mmap.mmap(-1, 1 << 21, flags=0x40022)",
        control=None,
    ),
    Attack(
        "fill the kernel with page tables",
        GROUP,
        LIMITS,
        """
import mmap
kept = [mmap.mmap(-1, 64 << 20, flags=0x4022, prot=1) for _ in range(64)]
got = len(kept)
""",
        ("OSError", "MemoryError"),
    ),
    Attack(
        "keep the memory of its arguments and results",
        GROUP,
        HOST,
        drive=sharing.keep_payloads,
        control="""
import mmap
kept = [os.memfd_create('kept') for _ in range(20)]
for descriptor in kept: os.truncate(descriptor, 1 << 20)
got = sum(os.fstat(descriptor).st_size for descriptor in kept)
""",
    ),
    Attack(
        "reach its limit in many workers at once",
        GROUP,
        LIMITS,
        drive=sharing.many_at_the_limit,
        control="got = [len(bytearray(40 << 20)) for _ in range(8)]",
    ),
    Attack(
        "recurse without end in C",
        GROUP,
        LIMITS,
        """
import sys
sys.setrecursionlimit(10**9)
def deeper(): return max([0], key=lambda _: deeper())
got = deeper()
""",
        ("RecursionError", "MemoryError", DIED),
        control=None,
    ),
    Attack(
        "find its stack without a limit",
        GROUP,
        LIMITS,
        "import resource; got = not 0 <= resource.getrlimit(3)[1] <= 8 << 20",
        (NOTHING,),
    ),
    Attack(
        "encode a result that is nested without end",
        GROUP,
        LIMITS,
        "import msgspec\nnested = []\nfor _ in range(100_000): nested = [nested]\n"
        "got = len(msgspec.json.encode(nested))",
        ("RecursionError", "MemoryError", DIED),
        control=None,
    ),
    Attack(
        "open descriptors without end",
        GROUP,
        LIMITS,
        "kept = [os.dup(0) for _ in range(200)]; got = len(kept)",
        ("OSError",),
    ),
    Attack(
        "fill the kernel with what it sends to itself",
        GROUP,
        LIMITS,
        """
import socket
kept, sent = [], 0
try:
    while sent < 64 << 20:
        pair = socket.socketpair()
        kept.append(pair)
        pair[0].setblocking(False)
        try:
            while sent < 64 << 20: sent += pair[0].send(bytes(4096))
        except BlockingIOError:
            pass
except OSError:
    pass
got = sent if sent > 16 << 20 else 0
""",
        (NOTHING,),
    ),
    Attack(
        "queue signals that count against every pod of its user",
        GROUP,
        LIMITS,
        """
import signal
signal.pthread_sigmask(signal.SIG_BLOCK, [40])
for got in range(1, 2000): kernel(234, 131, os.getpid(), os.getpid(), 40)
""",
        ("BlockingIOError",),
    ),
    Attack("fill the disk", GROUP, SECCOMP, "got = open('/var/tmp/x', 'wb').write(bytes(1 << 20))"),
    Attack(
        "write a core file",
        GROUP,
        LIMITS,
        "os.abort()",
        (DIED,),
        control=None,
    ),
    Attack(
        "return more than it may",
        GROUP,
        FRAME,
        "got = 'x' * (3 << 20); self.whole = True",
        ("ResultError", "MemoryError"),
        control="got = 'x' * (3 << 20)",
    ),
    Attack(
        "raise an error that is a book",
        GROUP,
        FRAME,
        "raise ValueError('x' * (8 << 20))",
        ("ValueError", "MemoryError"),
        control=None,
    ),
    Attack(
        "flood the log by printing",
        GROUP,
        HOST,
        drive=sharing.flood_the_log,
        control="print('x\\n' * 50_000); got = 50_000",
    ),
    Attack(
        "print a line without end",
        GROUP,
        HOST,
        "import sys\nfor _ in range(2000): sys.stdout.write('x' * 10_000)\ngot = 0",
        (NOTHING,),
        control=None,
    ),
    Attack(
        "burn the CPU between its calls",
        GROUP,
        HOST,
        drive=sharing.burn_between_calls,
        control="""
import signal, time
def burn(*_):
    end = time.process_time() + 0.15
    while time.process_time() < end: pass
signal.signal(signal.SIGALRM, burn); signal.setitimer(signal.ITIMER_REAL, 0.01)
before = time.process_time(); time.sleep(0.05); got = time.process_time() - before > 0.1
""",
    ),
    Attack(
        "answer early, and burn the CPU for ever",
        GROUP,
        HOST,
        drive=sharing.burn_after_the_answer,
        control=None,
    ),
    Attack(
        "die as soon as it serves, again and again",
        GROUP,
        HOST,
        drive=loading.die_again_and_again,
        control=None,
    ),
    Attack(
        "keep the host busy with refusing",
        GROUP,
        HOST,
        drive=sharing.keep_the_host_refusing,
        control=None,
    ),
    Attack(
        "use up the host's descriptors",
        GROUP,
        HOST,
        drive=sharing.use_up_descriptors,
        control=None,
    ),
    Attack(
        "never read what the host sends",
        GROUP,
        "the two clocks",
        "while True: pass",
        (TIMEOUT,),
        control=None,
    ),
    Attack(
        "log faster than the host will read",
        GROUP,
        FRAME,
        "while True: send([7, 'info', 'x', 0])",
        (PROTOCOL,),
        control=None,
    ),
)
