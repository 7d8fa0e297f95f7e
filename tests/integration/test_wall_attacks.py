"""What a hostile plugin tries from inside, each with what stops it; the neighbours go on."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from pluginsandbox.api.host_config import PluginLimits
from pluginsandbox.host.frames import Failed
from pluginsandbox.host.runtime import Prepared, WorkerExit
from tests.integration.wall_bed import Bed, Recorder, running, until

pytestmark = pytest.mark.asyncio(loop_scope="module")
LIMITS = PluginLimits(memory_bytes=32 << 20)

# Which exception the plugin gets, and the code.
REFUSED = {
    "read a file of the system": ("PermissionError", "open('/etc/passwd')"),
    "read another plugin's file": ("PermissionError", "open({sibling_root!r} + '/obedient.py')"),
    "climb out of the own directory": (
        "PermissionError",
        "open({root!r} + '/../../../../../../../../etc/passwd')",
    ),
    "list the root": ("PermissionError", "import os; os.listdir('/')"),
    "read what the kernel says of itself": ("PermissionError", "open('/proc/self/maps')"),
    "read the host's environment": ("PermissionError", "open('/proc/{host}/environ')"),
    "read the service account's token": (
        ("PermissionError", "FileNotFoundError"),
        "open('/var/run/secrets/kubernetes.io/serviceaccount/token')",
    ),
    "re-open the host's socket": ("OSError", "open('/proc/self/fd/3')"),
    "re-open a descriptor for writing": (
        "PermissionError",
        "import os; os.open('/proc/self/fd/0', os.O_RDWR)",
    ),
    "write a temporary file": ("PermissionError", "open('/tmp/x', 'w')"),
    "write to its own code": ("PermissionError", "open({root!r} + '/obedient.py', 'r+')"),
    "open a device for writing": ("PermissionError", "open('/dev/null', 'w')"),
    "open without touching": (
        "PermissionError",
        "import os; os.open('/etc/shadow', os.O_PATH)",
    ),
    "make a nameless file": ("PermissionError", "import os; os.open('/tmp', 0x410002)"),
    "make a directory": ("PermissionError", "import os; os.mkdir('/tmp/x')"),
    "remove a file": ("PermissionError", "import os; os.unlink({root!r} + '/obedient.py')"),
    "rename a file": ("PermissionError", "import os; os.rename({root!r}, '/tmp/x')"),
    "link a file": ("PermissionError", "import os; os.link('/etc/passwd', '/tmp/x')"),
    "change a mode": ("PermissionError", "import os; os.chmod({root!r}, 0o777)"),
    "change times": ("PermissionError", "import os; os.utime({root!r})"),
    "set an attribute": ("PermissionError", "import os; os.setxattr({root!r}, 'user.a', b'')"),
    "change the directory": ("PermissionError", "import os; os.chdir('/')"),
    "fork": ("PermissionError", "import os; os.fork()"),
    "start a thread": (
        "RuntimeError",
        "import threading; threading.Thread(target=print).start()",
    ),
    "execute a program": ("PermissionError", "import os; os.execv('/bin/true', ['true'])"),
    "start a subprocess": (
        ("PermissionError", "ImportError"),
        "import subprocess; subprocess.run(['/bin/true'])",
    ),
    "signal the host": ("PermissionError", "import os; os.kill({host}, 9)"),
    "signal the zygote": ("PermissionError", "import os; os.kill({zygote}, 9)"),
    "signal a neighbour": ("PermissionError", "import os; os.kill({sibling}, 9)"),
    "signal its group": ("PermissionError", "import os; os.killpg(0, 9)"),
    "signal everybody": ("PermissionError", "import os; os.kill(-1, 9)"),
    "hold a neighbour by its descriptor": (
        "PermissionError",
        "import os; os.pidfd_open({sibling})",
    ),
    "set an owner for signals of a descriptor": (
        "PermissionError",
        "import fcntl; fcntl.fcntl(3, fcntl.F_SETOWN, {host})",
    ),
    "slow the host down": ("PermissionError", "import os; os.setpriority(0, {host}, 19)"),
    "pin the host to a core": ("PermissionError", "import os; os.sched_setaffinity({host}, [0])"),
    "raise its own limits": (
        "ValueError",
        "import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))",
    ),
    "open a TCP socket": ("PermissionError", "import socket; socket.socket()"),
    "open a UDP socket": (
        "PermissionError",
        "import socket; socket.socket(type=socket.SOCK_DGRAM)",
    ),
    "open a unix socket": ("PermissionError", "import socket; socket.socket(socket.AF_UNIX)"),
    "open a raw socket": (
        "PermissionError",
        "import socket; socket.socket(socket.AF_PACKET, socket.SOCK_RAW)",
    ),
    "open a netlink socket": (
        "PermissionError",
        "import socket; socket.socket(socket.AF_NETLINK, socket.SOCK_RAW)",
    ),
    "make a datagram pair, which may be addressed": (
        "PermissionError",
        "import socket; socket.socketpair(type=socket.SOCK_DGRAM)",
    ),
    "pass a descriptor to the host": (
        "PermissionError",
        "import socket; import os; socket.send_fds(socket.socket(1, 5, 0, os.dup(3)), [b'x'], [0])",
    ),
    "hold the host by its socket": (
        "PermissionError",
        "import socket; import os; socket.socket(1, 5, 0, os.dup(3)).getsockopt(1, 77)",
    ),
    "resolve a name": (
        ("gaierror", "PermissionError"),
        "import socket; socket.getaddrinfo('kubernetes.default.svc', 443)",
    ),
    "make a memory file": ("PermissionError", "import os; os.memfd_create('x')"),
    "map shared memory that no limit counts": (
        "PermissionError",
        "import mmap; mmap.mmap(-1, 1 << 30)",
    ),
    "map a stack that no limit counts": (
        "PermissionError",
        "import mmap; mmap.mmap(-1, 1 << 30, flags=0x122)",
    ),
    "map executable memory": ("PermissionError", "import mmap; mmap.mmap(-1, 4096, 0x22, 7)"),
    "load code late": ("ImportError", "import _ctypes_test"),
    "make a pipe": ("PermissionError", "import os; os.pipe()"),
    "become somebody else": ("PermissionError", "import os; os.setuid(os.getuid())"),
    "leave its session": ("PermissionError", "import os; os.setsid()"),
}

FATAL = {
    "trace the host": "libc.ptrace(0x4206, {host}, 0, 0)",
    "trace a neighbour": "libc.ptrace(0x4206, {sibling}, 0, 0)",
    "read a neighbour's memory": "libc.process_vm_readv({sibling}, 0, 0, 0, 0, 0)",
    "write the host's memory": "libc.process_vm_writev({host}, 0, 0, 0, 0, 0)",
    "unshare a namespace": "libc.unshare(0x10000000)",
    "enter a namespace": "libc.setns(0, 0)",
    "mount": "libc.mount(None, b'/tmp', b'tmpfs', 0, None)",
    "change the root": "libc.chroot(b'/')",
    "call in 32 bit": "libc.syscall(0x40000000 | 39)",
}

FORGED = {
    "noise": "import os; os.write(3, b'noise')",
    "an unknown kind": "import os, msgspec; os.write(3, msgspec.msgpack.encode([99]))",
    "an oversized frame": "import os; os.write(3, b'x' * 80_000)",
    "a result of no call": (
        "import os, msgspec; os.write(3, msgspec.msgpack.encode([3, 999, 0, b'']))"
    ),
    "a result of the call, twice": (
        "import os, msgspec\n"
        "for _ in range(2): os.write(3, msgspec.msgpack.encode([3, 1, 0, b'7']))"
    ),
    "a reclaiming that nobody asked for": (
        "import os, msgspec; os.write(3, msgspec.msgpack.encode([5, 1, 0]))"
    ),
    "a segment that it was not given": (
        "import os, msgspec;os.write(3, msgspec.msgpack.encode([3, 1, 0, b'', 0.0, True, 70_000]))"
    ),
    "a segment over the limit": (
        "import os, msgspec; os.write(3, msgspec.msgpack.encode([6, 1, 1 << 30]))"
    ),
    "segment after segment": (
        "import os, msgspec\nfor _ in range(2): os.write(3, msgspec.msgpack.encode([6, 1, 70_000]))"
    ),
    "that it was loaded again": (
        "import os, msgspec; os.write(3, msgspec.msgpack.encode([1, [], 0.0, 0.0]))"
    ),
    "a time that is no number": (
        "import os, msgspec; os.write(3, msgspec.msgpack.encode([3, 1, 0, b'', float('nan')]))"
    ),
    "a log without end": (
        "import os, msgspec\n"
        "line = msgspec.msgpack.encode([7, 'info', 'x', 0])\n"
        "while True: os.write(3, line)"
    ),
    "nothing, and closes the socket": "import os; os.close(3)\nwhile True: pass",
}

ENDS = {
    "exit": ("import os; os._exit(7)", "Exit", "exit status 7"),
    "abort": ("import os; os.abort()", "Signal", "signal SIGABRT"),
    "segmentation fault": (
        "import ctypes; ctypes.string_at(0)",
        "Signal",
        "signal SIGSEGV",
    ),
}


class Neighbourhood:
    """A hostile plugin, in a new worker for each attack, and a neighbour that must not notice."""

    def __init__(self, bed: Bed, hostile: Prepared, neighbour: Recorder) -> None:
        self.bed = bed
        self.hostile = hostile
        self.neighbour = neighbour
        self.counted = 0

    def told(self, code: str) -> str:
        names: dict[str, Any] = {
            "host": os.getpid(),
            "zygote": self.bed.runtime.zygote_pid,
            "sibling": self.neighbour.live.pid,
            "root": self.hostile.config.root,
            "sibling_root": self.neighbour.live.plugin.config.root,
        }
        for name, value in names.items():
            code = code.replace(f"{{{name}}}", str(value)).replace(f"{{{name}!r}}", repr(value))
        return code

    async def attack(self, code: str) -> Any:
        attacker = await self.bed.worker(self.hostile)
        try:
            return await attacker.run(self.told(code), seconds=5)
        finally:
            attacker.live.kill()
            await attacker.end()
            self.counted += 1
            assert await self.neighbour.call("count_up") == self.counted


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def neighbourhood(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Neighbourhood]:
    async with running(tmp_path_factory.mktemp("attacks")) as bed:
        hostile = await bed.prepare(name="hostile", limits=LIMITS)
        yield Neighbourhood(bed, hostile, await bed.worker(name="neighbour"))


@pytest.mark.parametrize("attempt", REFUSED)
async def test_the_kernel_refuses_to(neighbourhood: Neighbourhood, attempt: str) -> None:
    expected, code = REFUSED[attempt]
    answer = await neighbourhood.attack(code)
    assert isinstance(answer, Failed), answer
    assert answer.type in expected, answer


@pytest.mark.parametrize("attempt", FATAL)
async def test_the_kernel_kills_who_tries_to(neighbourhood: Neighbourhood, attempt: str) -> None:
    code = f"import ctypes; libc = ctypes.CDLL(None); {FATAL[attempt]}"
    answer = await neighbourhood.attack(code)
    assert isinstance(answer, WorkerExit), answer
    assert answer.cause == "Denied"


@pytest.mark.parametrize("forged", FORGED)
async def test_the_host_kills_who_sends(neighbourhood: Neighbourhood, forged: str) -> None:
    attacker = await neighbourhood.bed.worker(neighbourhood.hostile)
    attacker.start("run", code=FORGED[forged])
    end = await attacker.end()
    assert end.cause == "Protocol", end
    neighbourhood.counted += 1
    assert await neighbourhood.neighbour.call("count_up") == neighbourhood.counted


@pytest.mark.parametrize("way", ENDS)
async def test_a_worker_ends_alone_by(neighbourhood: Neighbourhood, way: str) -> None:
    code, cause, detail = ENDS[way]
    assert await neighbourhood.attack(code) == WorkerExit(cause, detail)


async def test_endless_recursion_is_an_error_or_the_end(neighbourhood: Neighbourhood) -> None:
    code = """
import sys
sys.setrecursionlimit(10**9)
def deeper(): return max([0], key=lambda _: deeper())
deeper()
"""
    answer = await neighbourhood.attack(code)
    if isinstance(answer, WorkerExit):
        assert answer.detail == "signal SIGSEGV"
    else:
        assert answer.type in ("RecursionError", "MemoryError")


async def test_memory_ends_at_the_limit_and_the_worker_lives(neighbourhood: Neighbourhood) -> None:
    attacker = await neighbourhood.bed.worker(neighbourhood.hostile)
    for code in (
        "bytearray(64 << 20)",
        "out = [bytearray(1 << 20) for _ in range(64)]",
        "out = []\nwhile True: out.append({'key': len(out)})",
    ):
        failed = await attacker.run(code)
        assert isinstance(failed, Failed), failed
        assert (failed.kind, failed.type) == ("Raised", "MemoryError")
        assert failed.message
    assert await attacker.run("out = len(bytearray(8 << 20))") == str(8 << 20)
    attacker.live.kill()


async def test_memory_that_is_kept_ends_at_the_limit_too(neighbourhood: Neighbourhood) -> None:
    attacker = await neighbourhood.bed.worker(neighbourhood.hostile)
    code = "import builtins; builtins.kept = kept = []\nwhile True: kept.append(bytearray(4096))"
    failed = await attacker.run(code)
    assert (failed.kind, failed.type) == ("Raised", "MemoryError")
    # Whatever the interpreter makes of it, with nothing left: there is an answer or an end.
    again = await attacker.run("out = 1")
    assert again == "1" or isinstance(again, Failed | WorkerExit)
    attacker.live.kill()


async def test_memory_taken_behind_the_interpreter_counts(neighbourhood: Neighbourhood) -> None:
    code = """
import mmap
private = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
kept = []
try:
    while True:
        kept.append(mmap.mmap(-1, 1 << 20, flags=private))
except OSError as error:
    out = f"{len(kept) < 34} {error.errno}"
"""
    assert await neighbourhood.attack(code) == "True 12"


async def test_page_tables_are_bounded_by_the_address_space(neighbourhood: Neighbourhood) -> None:
    code = """
import mmap
reserved, size = [], 64 << 20
try:
    while True:
        flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | 0x4000
        reserved.append(mmap.mmap(-1, size, flags=flags, prot=mmap.PROT_READ))
except OSError:
    out = len(reserved) * size <= 2 << 30
"""
    assert await neighbourhood.attack(code) == "True"


async def test_descriptors_end_at_sixty_four(neighbourhood: Neighbourhood) -> None:
    code = """
import os
opened = []
try:
    while True: opened.append(os.dup(0))
except OSError as error:
    out = f"{len(opened)} {error.errno}"
"""
    assert await neighbourhood.attack(code) == "60 24"


async def test_switching_the_timer_off_helps_only_until_the_host_looks(
    neighbourhood: Neighbourhood,
) -> None:
    attacker = await neighbourhood.bed.worker(neighbourhood.hostile)
    code = """
import signal
for number in range(1, 32):
    if number not in (signal.SIGKILL, signal.SIGSTOP):
        signal.signal(number, signal.SIG_IGN)
signal.setitimer(signal.ITIMER_REAL, 0)
print("off")
while True: pass
"""
    attacker.start("run", seconds=0.05, code=code)
    await until(lambda: attacker.logs)
    attacker.live.kill()
    assert (await attacker.end()).cause == "Killed"
