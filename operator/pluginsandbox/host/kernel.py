"""System calls that the standard library does not offer, as functions that raise OSError.

Kept apart so that the wall's other files read as policy. Loaded in the zygote before it forks;
nothing here allocates executable memory afterwards.
"""

from __future__ import annotations

import ctypes
import os
import time

from pluginsandbox.host import syscalls

# linux/prctl.h
PR_SET_PDEATHSIG = 1
PR_SET_DUMPABLE = 4
PR_SET_NAME = 15
PR_CAPBSET_READ = 23
PR_CAPBSET_DROP = 24
PR_SET_NO_NEW_PRIVS = 38
PR_CAP_AMBIENT = 47
PR_CAP_AMBIENT_CLEAR_ALL = 4

_CAPABILITY_VERSION_3 = 0x20080522  # linux/capability.h
_CAPABILITIES = 64

_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long
_libc.prctl.restype = ctypes.c_int


class _CapabilityHeader(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class _CapabilityData(ctypes.Structure):
    _fields_ = (
        ("effective", ctypes.c_uint32),
        ("permitted", ctypes.c_uint32),
        ("inheritable", ctypes.c_uint32),
    )


def system_call(name: str, *arguments: int | ctypes.Structure | ctypes.Array[ctypes.c_char]) -> int:
    """Make one system call.

    Args:
        name: Its name in `syscalls`.
        arguments: Numbers, or structures and buffers that are passed by address.

    Raises:
        OSError: The kernel refused; errno says why.

    """
    number = syscalls.numbers(syscalls.here())[name]
    passed = [
        ctypes.c_ulong(argument) if isinstance(argument, int) else ctypes.byref(argument)
        for argument in arguments
    ]
    result: int = _libc.syscall(ctypes.c_long(number), *passed)
    if result < 0:
        error = ctypes.get_errno()
        raise OSError(error, f"{name}: {os.strerror(error)}")
    return result


def prctl(option: int, first: int = 0, second: int = 0) -> int:
    """Change or read an attribute of this process.

    Raises:
        OSError: The kernel refused; errno says why.

    """
    zero = ctypes.c_ulong(0)
    result: int = _libc.prctl(option, ctypes.c_ulong(first), ctypes.c_ulong(second), zero, zero)
    if result < 0:
        error = ctypes.get_errno()
        raise OSError(error, f"prctl {option}: {os.strerror(error)}")
    return result


def cpu_seconds(process: int) -> float:
    """Return the CPU time that a process has used; 0 if it is gone."""
    try:
        # CPUCLOCK_SCHED of a process, include/linux/posix-timers.h
        return time.clock_gettime(~process << 3 | 2)
    except OSError:
        return 0.0


def filters(process: int) -> int | None:
    """Return how many seccomp filters a process is under; None where the kernel does not say."""
    try:
        with open(f"/proc/{process}/status", "rb") as file:  # noqa: PTH123 - for each worker
            for line in file:
                if line.startswith(b"Seccomp_filters:"):
                    return int(line.split()[1])
    except OSError:
        pass
    return None


def drop_capabilities() -> None:
    """Give up every capability for good, the bounding set included where that is allowed.

    The user id stays: on a laptop the standard library may live in a home that only root enters.

    Raises:
        OSError: The kernel refused to empty the sets.

    """
    for capability in range(_CAPABILITIES):
        try:
            if prctl(PR_CAPBSET_READ, capability):
                prctl(PR_CAPBSET_DROP, capability)
        except OSError:
            # Past the last capability this kernel knows, or, in a restricted pod, without the
            # right to drop what no_new_privs makes unreachable anyway.
            break
    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL)
    header = _CapabilityHeader(_CAPABILITY_VERSION_3, 0)
    system_call("capset", header, (_CapabilityData * 2)())  # type: ignore[arg-type]
