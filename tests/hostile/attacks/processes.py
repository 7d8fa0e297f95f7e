"""Other processes, signals, and more processes."""

from __future__ import annotations

from tests.hostile.record import FATAL, NOTHING, SECCOMP, TIMEOUT, Attack
from tests.hostile.scenes import clock

GROUP = "processes"
NO_THREAD = ("PermissionError", "RuntimeError", "OSError")

ATTACKS = (
    Attack(
        "kill the host",
        GROUP,
        SECCOMP,
        "os.kill(target['host'], 9); got = 'sent'",
        quick=True,
    ),
    Attack("kill the zygote", GROUP, SECCOMP, "os.kill(target['zygote'], 9); got = 'sent'"),
    Attack("kill a neighbour", GROUP, SECCOMP, "os.kill(target['sibling'], 9); got = 'sent'"),
    Attack("stop a neighbour", GROUP, SECCOMP, "os.kill(target['sibling'], 19); got = 'sent'"),
    Attack("kill its group", GROUP, SECCOMP, "os.killpg(0, 0); got = 'sent'"),
    Attack("kill everybody", GROUP, SECCOMP, "os.kill(-1, 9); got = 'sent'"),
    Attack(
        "kill a neighbour's thread",
        GROUP,
        SECCOMP,
        "kernel(234, 131, target['sibling'], target['sibling'], 9); got = 'sent'",
    ),
    Attack(
        "kill by thread alone",
        GROUP,
        SECCOMP,
        "kernel(200, 130, target['sibling'], 9); got = 'sent'",
    ),
    Attack(
        "queue a signal with a forged sender",
        GROUP,
        SECCOMP,
        "forged = bytes((10,) + (0,) * 7 + (255,) * 4) + bytes(116)\n"
        "kernel(129, 138, target['sibling'], 10, forged); got = 'sent'",
    ),
    Attack(
        "hold a neighbour by its descriptor",
        GROUP,
        SECCOMP,
        "got = os.pidfd_open(target['sibling'])",
    ),
    Attack(
        "have the kernel signal the host for it",
        GROUP,
        SECCOMP,
        "import fcntl; fcntl.fcntl(3, fcntl.F_SETOWN, target['host']); got = 'set'",
        control="""
import fcntl, socket
fcntl.fcntl(socket.socketpair()[0], fcntl.F_SETOWN, target['host']); got = 'set'
""",
    ),
    Attack(
        "have a timer signal a neighbour",
        GROUP,
        SECCOMP,
        "got = reached(222, 107, 0, 0, 0)",
    ),
    Attack(
        "read the host's use of the CPU to the nanosecond",
        GROUP,
        SECCOMP,
        "import time; got = ('seconds', time.clock_gettime(~target['host'] << 3 | 2))",
        quick=True,
    ),
    Attack(
        "ask for the clock of a neighbour's CPU time",
        GROUP,
        SECCOMP,
        "import time; got = time.clock_getres(~target['sibling'] << 3 | 2)",
    ),
    Attack(
        "ask whose session a neighbour is of",
        GROUP,
        SECCOMP,
        "got = ('session', os.getsid(target['sibling']))",
    ),
    Attack(
        "ask where a neighbour may run",
        GROUP,
        SECCOMP,
        "got = os.sched_getaffinity(target['sibling'])",
    ),
    Attack(
        "slow the host down",
        GROUP,
        SECCOMP,
        "os.setpriority(0, target['host'], 19); got = 'slowed'",
    ),
    Attack(
        "pin the host to one core",
        GROUP,
        SECCOMP,
        "os.sched_setaffinity(target['host'], [0]); got = 'pinned'",
    ),
    Attack(
        "make the host idle priority",
        GROUP,
        SECCOMP,
        "os.sched_setscheduler(target['host'], os.SCHED_IDLE, os.sched_param(0)); got = 'idled'",
    ),
    Attack(
        "put its own disk use before others'",
        GROUP,
        SECCOMP,
        "kernel(251, 30, 1, 0, 2 << 13 | 1); got = 'set'",
    ),
    Attack(
        "take the host's limits away",
        GROUP,
        SECCOMP,
        "kernel(302, 261, target['host'], 7, (ctypes.c_ulong * 2)(1, 1), 0); got = 'set'",
    ),
    Attack(
        "raise its own limits",
        GROUP,
        SECCOMP,
        "import resource; resource.setrlimit(7, resource.getrlimit(7)); got = 'set'",
        ("ValueError", "PermissionError"),
    ),
    Attack("fork", GROUP, SECCOMP, "got = os.fork() or os._exit(0)", quick=True),
    Attack(
        "fork without end",
        GROUP,
        SECCOMP,
        """
got = 0
for _ in range(50):
    if os.fork() == 0: os._exit(0)
    got += 1
""",
    ),
    Attack(
        "fork by the oldest call",
        GROUP,
        SECCOMP,
        "got = libc.vfork() > 0",
        (NOTHING,),
        control=None,
    ),
    Attack(
        "fork by the newest call",
        GROUP,
        SECCOMP,
        "got = reached(435, 435, 0, 0)",
        ("OSError",),
    ),
    Attack(
        "start a thread",
        GROUP,
        SECCOMP,
        "import threading; t = threading.Thread(target=print); t.start(); got = 'started'",
        NO_THREAD,
    ),
    Attack("execute a program", GROUP, SECCOMP, "os.execv('/bin/true', ['true'])", control=None),
    Attack(
        "start a program beside it",
        GROUP,
        SECCOMP,
        "got = os.posix_spawn('/bin/true', ['true'], {})",
    ),
    Attack(
        "start a shell",
        GROUP,
        SECCOMP,
        "import subprocess; got = subprocess.run('echo out', shell=True, capture_output=True)",
        ("PermissionError", "ImportError"),
        control="got = os.system('true') == 0",
    ),
    Attack(
        "execute what is in memory",
        GROUP,
        SECCOMP,
        "got = reached(322, 281, -1, b'', 0, 0, 0x1000)",
    ),
    Attack("leave its session", GROUP, SECCOMP, "os.setsid(); got = 'left'", control=None),
    Attack(
        "join a neighbour's group", GROUP, SECCOMP, "os.setpgid(0, target['sibling'])", control=None
    ),
    Attack(
        "live on when its parent dies",
        GROUP,
        SECCOMP,
        "kernel(157, 167, 1, 0); got = 'set'",
    ),
    Attack(
        "be hidden from the host",
        GROUP,
        SECCOMP,
        "kernel(157, 167, 4, 0); got = 'set'",
    ),
    Attack(
        "adopt orphans",
        GROUP,
        SECCOMP,
        "kernel(157, 167, 36, 1); got = 'set'",
    ),
    Attack("become somebody else", GROUP, SECCOMP, "os.setuid(os.getuid()); got = 'set'"),
    Attack("join another group of users", GROUP, SECCOMP, "os.setgroups([]); got = 'set'"),
    Attack(
        "take capabilities",
        GROUP,
        SECCOMP,
        "got = reached(126, 91, 0, 0)",
    ),
    Attack(
        "stop itself, to keep its contexts waiting",
        GROUP,
        "the two clocks",
        "kernel(234, 131, os.getpid(), os.getpid(), 19)",
        (TIMEOUT,),
        control=None,
    ),
    Attack(
        "outlive its context by never ending",
        GROUP,
        "the two clocks",
        drive=clock.outlive_the_context,
        control=None,
    ),
    Attack("watch files for others' doings", GROUP, SECCOMP, "got = reached(294, 26, 0)"),
    Attack("watch the whole machine", GROUP, SECCOMP, "got = reached(300, 262, -1, -1)", FATAL),
)
