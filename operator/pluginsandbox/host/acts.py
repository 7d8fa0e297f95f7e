"""What no plugin may do, to be tried by a worker behind the wall that is to be proven.

The worker is like any other but for what it serves: nothing that it would first have to import.
An act that is not stopped does no harm: it asks, or its arguments make the kernel refuse once the
call has reached it. Whether an act was stopped is for the host to say.
"""

from __future__ import annotations

import _thread
import ctypes
import errno
import mmap
import os
import resource
import socket
from collections.abc import Callable

import msgspec

from pluginsandbox.host import syscalls

_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long
_numbers = syscalls.numbers(syscalls.here())
_HERE = os.path.dirname(os.path.abspath(__file__))  # noqa: PTH100, PTH120 - no more than needed

_PTRACE_SEIZE = 0x4206
_ALL_ONES = 0xFFFFFFFF
_MPTCP = 262
_HIGHEST_DESCRIPTOR = 64
_OWN_DESCRIPTORS = 4


class Targets(msgspec.Struct):
    """What the acts are tried on."""

    host: int
    """Process id."""
    zygote: int
    sibling: int
    """Process id of another worker."""
    host_address: int
    """Of a few bytes in the host's memory."""
    sibling_address: int
    """The same in the other worker: all workers are forked from one zygote."""
    tcp_port: int
    udp_port: int
    abstract_name: str


class Outcome(msgspec.Struct):
    """What came of one act."""

    name: str
    error: str
    """Name of the errno, `ValueError` and the like, or empty if the act succeeded."""


class Attempt(msgspec.Struct):
    """What a call to a probe asks for."""

    names: list[str]
    targets: Targets


def _call(name: str, *arguments: int) -> int:
    passed = [ctypes.c_ulong(argument) for argument in arguments]
    result: int = _libc.syscall(ctypes.c_long(_numbers[name]), *passed)
    if result < 0:
        raise OSError(ctypes.get_errno(), name)
    return result


def _read_memory(process: int, address: int) -> None:
    into = ctypes.create_string_buffer(8)
    local = (ctypes.c_ulong * 2)(ctypes.addressof(into), 8)
    remote = (ctypes.c_ulong * 2)(address, 8)
    _call("process_vm_readv", process, ctypes.addressof(local), 1, ctypes.addressof(remote), 1, 0)


def _read(path: str) -> None:
    os.close(os.open(path, os.O_RDONLY))


def _write(path: str) -> None:
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT))
    os.unlink(path)  # noqa: PTH108


def _connect(port: int, protocol: int = 0) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, protocol) as client:
        client.connect(("127.0.0.1", port))


def _send_datagram(port: int) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.sendto(b"x", ("127.0.0.1", port))


def _connect_abstract(name: str) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.connect(f"\0{name}")


def _send_to_path(path: str) -> None:
    one, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with one, other:
        one.sendto(b"x", path)


def _pass_descriptor() -> None:
    one, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    with one, other:
        socket.send_fds(one, [b"x"], [0])


def _fork() -> None:
    if os.fork() == 0:
        os._exit(0)
    os.wait()


def _raise_limit() -> None:
    same = (ctypes.c_ulong * 2)(*resource.getrlimit(resource.RLIMIT_DATA))
    _call("prlimit64", 0, resource.RLIMIT_DATA, ctypes.addressof(same), 0)


def _map(protection: int, flags: int) -> None:
    mmap.mmap(-1, mmap.PAGESIZE, flags=flags | mmap.MAP_ANONYMOUS, prot=protection).close()


def _find_descriptors() -> None:
    for descriptor in range(_OWN_DESCRIPTORS, _HIGHEST_DESCRIPTOR):
        try:
            os.fstat(descriptor)
        except OSError:
            continue
        return
    raise PermissionError(errno.EPERM, "there is none")


ACTS: dict[str, Callable[[Targets], object]] = {
    # memory of others
    "process-vm-host": lambda to: _read_memory(to.host, to.host_address),
    "process-vm-sibling": lambda to: _read_memory(to.sibling, to.sibling_address),
    "ptrace-host": lambda to: _call("ptrace", _PTRACE_SEIZE, to.host, 0, 0),
    "ptrace-sibling": lambda to: _call("ptrace", _PTRACE_SEIZE, to.sibling, 0, 0),
    "proc-environ-host": lambda to: _read(f"/proc/{to.host}/environ"),
    "proc-mem-host": lambda to: _read(f"/proc/{to.host}/mem"),
    "proc-mem-sibling": lambda to: _read(f"/proc/{to.sibling}/mem"),
    "proc-maps-sibling": lambda to: _read(f"/proc/{to.sibling}/maps"),
    "kcmp": lambda to: _call("kcmp", to.host, to.sibling, 0, 0, 0),
    # other processes
    "signal-host": lambda to: os.kill(to.host, 0),
    "signal-zygote": lambda to: os.kill(to.zygote, 0),
    "signal-sibling": lambda to: os.kill(to.sibling, 0),
    "pidfd-host": lambda to: os.close(os.pidfd_open(to.host)),
    "pidfd-getfd": lambda _: _call("pidfd_getfd", _ALL_ONES, 0, 0),
    "limits-host": lambda to: _call("prlimit64", to.host, resource.RLIMIT_NOFILE, 0, 0),
    "affinity-host": lambda to: os.sched_setaffinity(to.host, os.sched_getaffinity(0)),
    "priority-host": lambda to: os.setpriority(os.PRIO_PROCESS, to.host, 0),
    "fork": lambda _: _fork(),
    "thread": lambda _: _thread.start_new_thread(lambda: None, ()),
    "execute": lambda _: _call("execve", 0, 0, 0),
    "raise-own-limit": lambda _: _raise_limit(),
    "change-user": lambda _: _call("setresuid", os.getuid(), os.getuid(), os.getuid()),
    # files
    "read-passwd": lambda _: _read("/etc/passwd"),
    "list-root": lambda _: os.listdir("/"),  # noqa: PTH208
    "read-proc-self": lambda _: _read("/proc/self/status"),
    "write-tmp": lambda _: _write(f"/tmp/pluginsandbox-probe-{os.getpid()}"),  # noqa: S108
    "write-own-files": lambda _: _write(os.path.join(_HERE, "written")),  # noqa: PTH118
    "make-directory": lambda _: _call("mkdirat", _ALL_ONES, 0, 0),
    "remove-file": lambda _: _call("unlinkat", _ALL_ONES, 0, 0),
    "change-mode": lambda _: _call("fchmodat", _ALL_ONES, 0, 0),
    "inherited-descriptors": lambda _: _find_descriptors(),
    # network
    "tcp": lambda to: _connect(to.tcp_port),
    "mptcp": lambda to: _connect(to.tcp_port, _MPTCP),
    "udp": lambda to: _send_datagram(to.udp_port),
    "unix-abstract": lambda to: _connect_abstract(to.abstract_name),
    "unix-path": lambda _: _send_to_path("/nowhere"),
    "pass-descriptor": lambda _: _pass_descriptor(),
    # the kernel's surface
    "shared-memory": lambda _: _call("shmget", 0, 0, 0),
    "message-queue": lambda _: _call("mq_open", 0, 0, 0, 0),
    "memfd": lambda _: os.close(os.memfd_create("probe")),
    "executable-memory": lambda _: _map(mmap.PROT_READ | mmap.PROT_EXEC, mmap.MAP_PRIVATE),
    "uncounted-memory": lambda _: _map(mmap.PROT_READ | mmap.PROT_WRITE, mmap.MAP_SHARED),
    "new-filter": lambda _: _call("seccomp", 1, 0, 0),
    "new-domain": lambda _: _call("landlock_create_ruleset", 0, 0, 1),
    "personality": lambda _: _call("personality", _ALL_ONES),
    "inotify": lambda _: os.close(_call("inotify_init1", 0)),
    "io-uring": lambda _: _call("io_uring_setup", 0, 0),
    "bpf": lambda _: _call("bpf", 0, 0, 0),
    "perf": lambda _: _call("perf_event_open", 0, 0, 0, 0, 0),
    "userfaultfd": lambda _: _call("userfaultfd", _ALL_ONES),
    "keyring": lambda _: _call("keyctl", 0, 0, 0),
    "mount": lambda _: _call("mount", 0, 0, 0, 0, 0),
    "unshare": lambda _: _call("unshare", 0),
    "namespace": lambda _: _call("setns", _ALL_ONES, 0),
    "file-handle": lambda _: _call("open_by_handle_at", _ALL_ONES, 0, 0),
    "kernel-module": lambda _: _call("init_module", 0, 0, 0),
}


class Probe:
    """What a worker serves instead of a plugin: its own only binding, with one function."""

    exit_error = ""
    durable = None

    def bind(self, *_: object) -> Probe:
        """Return what serves every context."""
        return self

    def call(self, _function: int, codec: int, body: bytes, *_: object) -> tuple[int, bytes]:
        """Try each act of an `Attempt` once, in order, and return the outcomes."""
        attempt = msgspec.json.decode(body, type=Attempt)
        outcomes = [Outcome(name, _tried(ACTS[name], attempt.targets)) for name in attempt.names]
        return codec, msgspec.json.encode(outcomes)

    def reclaim(self, *_: object) -> int:
        """Return how many bytes it held."""
        return 0

    def panicked(self, message: str) -> None:
        """Pass over how another probe died."""


def _tried(act: Callable[[Targets], object], targets: Targets) -> str:
    try:
        act(targets)
    except OSError as error:
        return errno.errorcode.get(error.errno or 0, "OSError")
    except RuntimeError:  # a thread that could not be started
        return "EPERM"
    except Exception as error:  # noqa: BLE001 - one act's fault must not hide the others
        return type(error).__name__
    return ""
