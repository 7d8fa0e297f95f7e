"""Memory of the host and of other workers."""

from __future__ import annotations

from tests.hostile.record import FATAL, LANDLOCK, NOTHING, PROCESS, SECCOMP, Attack

GROUP = "memory"

_SCAN = """
import re, socket
pattern = re.compile(bytes((86, 73, 67, 84, 73, 77, 45)) + b"[0-9a-f]{32}")
PLANT
one, other = socket.socketpair()
one.setblocking(False)
PAGE, found = 4096, set()
def readable(address):
    # A write from memory that is not there fails, and harms nobody.
    sent = libc.write(one.fileno(), ctypes.c_void_p(address), PAGE)
    if sent == PAGE:
        other.recv(PAGE)
    return sent == PAGE
def search(start, pages):
    for number in range(pages):
        address = start + number * PAGE
        if readable(address):
            found.update(pattern.findall(ctypes.string_at(address, PAGE)))
stack = (ctypes.c_char * 1)()
for near in {id(x) >> 22 for x in (None, {}, [], object(), b"x" * 100, lambda: 0, libc, search)}:
    search(near << 22, 1024)
search((ctypes.addressof(stack) >> 22) << 22, 1024)
got = sorted(found)
"""

ATTACKS = (
    Attack(
        "read the host's memory",
        GROUP,
        SECCOMP,
        "got = peek(target['host'], target['address'])",
        FATAL,
        quick=True,
    ),
    Attack(
        "read a neighbour's memory",
        GROUP,
        SECCOMP,
        "got = peek(target['sibling'], target['address'])",
        FATAL,
    ),
    Attack(
        "write the host's memory",
        GROUP,
        SECCOMP,
        """
new = ctypes.create_string_buffer(b"overrun!", 8)
local = (ctypes.c_ulong * 2)(ctypes.addressof(new), 8)
remote = (ctypes.c_ulong * 2)(target['address'], 8)
got = kernel(311, 271, target['host'], local, 1, remote, 1, 0)
""",
        FATAL,
    ),
    Attack(
        "trace the host",
        GROUP,
        SECCOMP,
        "kernel(101, 117, 0x4206, target['host'], 0, 0); got = 'seized'",
        FATAL,
    ),
    Attack(
        "trace a neighbour",
        GROUP,
        SECCOMP,
        "kernel(101, 117, 0x4206, target['sibling'], 0, 0); got = 'seized'",
        FATAL,
    ),
    Attack(
        "trace the zygote, whose child it is",
        GROUP,
        SECCOMP,
        "kernel(101, 117, 16, target['zygote'], 0, 0); got = 'attached'",
        FATAL,
    ),
    Attack(
        "become traced by its parent",
        GROUP,
        SECCOMP,
        "kernel(101, 117, 0, 0, 0, 0); got = 'traced'",
        FATAL,
    ),
    Attack(
        "open the host's memory as a file",
        GROUP,
        LANDLOCK,
        "got = os.open(f'/proc/{target[\"host\"]}/mem', os.O_RDONLY)",
    ),
    Attack(
        "open a neighbour's memory as a file",
        GROUP,
        LANDLOCK,
        """
memory = os.open(f'/proc/{target["sibling"]}/mem', os.O_RDONLY)
got = os.pread(memory, 8, target['address'])
""",
        quick=True,
    ),
    Attack(
        "read the host's environment",
        GROUP,
        LANDLOCK,
        "got = open(f'/proc/{target[\"host\"]}/environ', 'rb').read()",
    ),
    Attack(
        "read where the host's memory is",
        GROUP,
        LANDLOCK,
        "got = open(f'/proc/{target[\"host\"]}/maps').read()",
    ),
    Attack(
        "read where a neighbour's memory is",
        GROUP,
        LANDLOCK,
        "got = open(f'/proc/{target[\"sibling\"]}/maps').read()",
    ),
    Attack(
        "follow the host's descriptors",
        GROUP,
        LANDLOCK,
        "got = os.listdir(f'/proc/{target[\"host\"]}/fd')",
    ),
    Attack(
        "take a descriptor out of a neighbour",
        GROUP,
        SECCOMP,
        "got = reached(438, 438, kernel(434, 434, target['sibling'], 0), 0, 0)",
        ("PermissionError", *FATAL),
    ),
    Attack(
        "compare its memory with the host's",
        GROUP,
        SECCOMP,
        "got = reached(312, 272, target['host'], os.getpid(), 0, 0, 0)",
        FATAL,
    ),
    Attack(
        "page a neighbour's memory out",
        GROUP,
        SECCOMP,
        "got = reached(440, 440, -1, 0, 0, 21, 0)",
        FATAL,
    ),
    Attack(
        "open the machine's memory",
        GROUP,
        LANDLOCK,
        "got = os.open('/dev/mem', os.O_RDONLY)",
        ("PermissionError", "FileNotFoundError"),
        control="got = os.open('/dev/zero', os.O_RDONLY)",
    ),
    Attack(
        "search all that it inherited for a neighbour's secret",
        GROUP,
        PROCESS,
        _SCAN.replace("PLANT", ""),
        (NOTHING,),
        control=_SCAN.replace(
            "PLANT", "planted = [bytes((86, 73, 67, 84, 73, 77, 45)) + b'0' * 32 for _ in range(9)]"
        ),
        quick=True,
    ),
)
