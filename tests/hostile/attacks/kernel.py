"""The kernel's own surface: calls that have held most of its holes, and new code."""

from __future__ import annotations

from tests.hostile.record import DENIED, DIED, FATAL, SECCOMP, Attack

GROUP = "kernel"
ONLY_X86 = ("PermissionError", "OSError", DENIED)

ATTACKS = (
    Attack("set io_uring up", GROUP, SECCOMP, "got = reached(425, 425, 1, 0)"),
    Attack("enter io_uring", GROUP, SECCOMP, "got = reached(426, 426, -1, 0, 0, 0, 0, 0)"),
    Attack(
        "load a BPF program", GROUP, SECCOMP, "got = reached(321, 280, 0, 0, 0)", FATAL, quick=True
    ),
    Attack("handle its own page faults", GROUP, SECCOMP, "got = reached(323, 282, 0x1000)", FATAL),
    Attack("read a keyring", GROUP, SECCOMP, "got = reached(250, 219, 0, -3, 0)", FATAL),
    Attack("add a key", GROUP, SECCOMP, "got = reached(248, 217, 0, 0, 0, 0, 0)", FATAL),
    Attack(
        "count the machine's events",
        GROUP,
        SECCOMP,
        "got = reached(298, 241, 0, 0, 0, 0, 0)",
        FATAL,
    ),
    Attack("mount", GROUP, SECCOMP, "got = reached(165, 40, 0, 0, 0, 0, 0)", FATAL),
    Attack("mount by the new calls", GROUP, SECCOMP, "got = reached(430, 430, 0, 0)", FATAL),
    Attack("unmount", GROUP, SECCOMP, "got = reached(166, 39, b'/nowhere', 0)", FATAL),
    Attack("swap the root", GROUP, SECCOMP, "got = reached(155, 41, b'/no', b'/no')", FATAL),
    Attack(
        "become root of a new user namespace",
        GROUP,
        SECCOMP,
        "kernel(272, 97, 0x10000000); got = 'unshared'",
        FATAL,
        quick=True,
    ),
    Attack(
        "clone into new namespaces",
        GROUP,
        SECCOMP,
        "got = reached(56, 220, 0x10000000 | 17, 0, 0, 0, 0) if X86 else reached(56, 220, 17, 0)",
        control=None,
    ),
    Attack("enter a namespace", GROUP, SECCOMP, "got = reached(308, 268, -1, 0)", FATAL),
    Attack("change its personality", GROUP, SECCOMP, "kernel(135, 92, 0x0400000); got = 'set'"),
    Attack(
        "install a filter of its own",
        GROUP,
        SECCOMP,
        "got = reached(317, 277, 1, 0, 0)",
    ),
    Attack(
        "take over the host's hold on its calls",
        GROUP,
        SECCOMP,
        "got = reached(317, 277, 1, 8, 0)",
    ),
    Attack("enter another Landlock domain", GROUP, SECCOMP, "got = reached(444, 444, 0, 0, 1)"),
    Attack(
        "load a kernel module",
        GROUP,
        SECCOMP,
        "got = reached(175, 105, 0, 0, 0)",
        FATAL,
        control=None,  # this kernel may have been built without
    ),
    Attack(
        "load another kernel",
        GROUP,
        SECCOMP,
        "got = reached(246, 104, 0, 99, 0, 0)",
        FATAL,
        control=None,
    ),
    Attack("restart the machine", GROUP, SECCOMP, "got = reached(169, 142, 0, 0, 0, 0)", FATAL),
    Attack("swap to a file", GROUP, SECCOMP, "got = reached(167, 224, b'/nowhere', 0)", FATAL),
    Attack("read the kernel's log", GROUP, SECCOMP, "got = reached(103, 116, 10, 0, 0)", FATAL),
    Attack("set disk quotas", GROUP, SECCOMP, "got = reached(179, 60, 0, 0, 0, 0)", FATAL),
    Attack("change the machine's name", GROUP, SECCOMP, "got = reached(170, 161, 0, -1)"),
    Attack(
        "use ports of the machine",
        GROUP,
        SECCOMP,
        "got = reached(172, 165, 0)",
        ONLY_X86,
        control=None,
    ),
    Attack(
        "write its segments",
        GROUP,
        SECCOMP,
        "got = reached(154, 165, 0, 0, 0)",
        ONLY_X86,
        control=None,
    ),
    Attack("make shared memory", GROUP, SECCOMP, "got = kernel(29, 194, 0, 4096, 0o1600) + 1"),
    Attack("make a queue of messages", GROUP, SECCOMP, "got = kernel(68, 186, 0, 0o1600) + 1"),
    Attack("make a semaphore", GROUP, SECCOMP, "got = kernel(64, 190, 0, 1, 0o1600) + 1"),
    Attack("make a POSIX queue", GROUP, SECCOMP, "got = reached(240, 180, 0, 0, 0, 0)"),
    Attack(
        "hide memory from the kernel",
        GROUP,
        SECCOMP,
        "got = reached(447, 447, -1)",
    ),
    Attack("move pages between processes", GROUP, SECCOMP, "got = reached(256, 238, -1, 0, 0, 0)"),
    Attack("splice memory into a pipe", GROUP, SECCOMP, "got = reached(278, 75, -1, 0, 0, 0)"),
    Attack("make a pipe, to splice through", GROUP, SECCOMP, "got = os.pipe()"),
    Attack("take signals by a descriptor", GROUP, SECCOMP, "got = reached(289, 74, -1, 0, 0, 0)"),
    Attack(
        "merge its pages with a neighbour's, to see what they hold",
        GROUP,
        SECCOMP,
        "import mmap; m = mmap.mmap(-1, 8192, flags=0x22); m.madvise(12); got = 'merging'",
    ),
    Attack(
        "interrupt every core of the machine",
        GROUP,
        SECCOMP,
        "got = reached(324, 283, 0, 0, 0)",
    ),
    Attack(
        "call by the table of 32 bit pointers",
        GROUP,
        SECCOMP,
        "libc.syscall(ctypes.c_long(0x40000000 | 39)); got = not X86",
        (DENIED, "nothing"),
        control=None,
    ),
    Attack(
        "call by the 32-bit door, found in the C library's code",
        GROUP,
        SECCOMP,
        """
near = ctypes.cast(libc.memcpy, ctypes.c_void_p).value & ~4095
door = ctypes.string_at(near, 400_000).find(bytes((0xcd, 0x80))) if X86 else -1
if door >= 0:
    ctypes.CFUNCTYPE(ctypes.c_long)(near + door)()
raise PermissionError("there is no such door in this C library")
""",
        ("PermissionError", DENIED, DIED),  # a kernel without that door ends it as well
        control=None,
    ),
    Attack(
        "map memory that is written and executed",
        GROUP,
        SECCOMP,
        "import mmap; got = mmap.mmap(-1, 4096, 0x22, 7)",
    ),
    Attack(
        "map memory that is executed",
        GROUP,
        SECCOMP,
        "import mmap; got = mmap.mmap(-1, 4096, 0x22, 5)",
    ),
    Attack(
        "make memory executable that it has written",
        GROUP,
        SECCOMP,
        """
import mmap
page = mmap.mmap(-1, 4096, 0x22, 3)
address = ctypes.addressof(ctypes.c_char.from_buffer(page))
got = reached(10, 226, address, 4096, 5)
""",
    ),
    Attack(
        "do so by protection keys",
        GROUP,
        SECCOMP,
        "got = reached(329, 288, id(libc) & ~4095, 0, 5, -1)",
    ),
    Attack(
        "load code late",
        GROUP,
        SECCOMP,
        "import _ctypes_test; got = 'loaded'",
        ("ImportError", "ModuleNotFoundError"),
        control="import mmap; got = mmap.mmap(os.open('/bin/true', 0), 4096, 2, 5)",
    ),
    Attack("remap a file's pages", GROUP, SECCOMP, "got = reached(216, 234, 0, 0, 0, 0, 0)"),
    Attack("lock memory", GROUP, SECCOMP, "got = reached(151, 230, 0)"),
    Attack(
        "use a call that is younger than this program",
        GROUP,
        SECCOMP,
        "got = reached(463, 463, -1, 0, 0, 0, 0, 0)",
        ("OSError",),
    ),
    Attack(
        "use a number that no kernel has",
        GROUP,
        SECCOMP,
        "got = kernel(5000, 5000)",
        ("OSError",),
        control=None,
    ),
    Attack(
        "set the machine's clock",
        GROUP,
        SECCOMP,
        "got = reached(227, 112, 99, 0)",
        FATAL,
    ),
    Attack(
        "bend the machine's clock",
        GROUP,
        SECCOMP,
        "got = reached(159, 171, 0)",
        FATAL,
    ),
)
