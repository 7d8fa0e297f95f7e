"""Landlock: what a worker may read, and nothing else of files, TCP, UDP, named sockets or signals.

Each worker takes a domain of its own: processes that share one may trace and signal each other.
All rights that the running kernel's ABI knows are handled, so all that is not granted is denied.
"""

from __future__ import annotations

import ctypes
import os
import stat
from collections.abc import Iterable

from pluginsandbox.host import kernel

# linux/landlock.h
_READ_FILE = 1 << 2
_READ_DIRECTORY = 1 << 3
_RULE_PATH_BENEATH = 1
_CREATE_RULESET_VERSION = 1

# ABI -> the rights that it brought. 1: Linux 5.13, 10: Linux 7.2.
_FILES = {1: (1 << 13) - 1, 2: 1 << 13, 3: 1 << 14, 5: 1 << 15, 9: 1 << 16}
_NETWORK = {4: 0b0011, 10: 0b1100}
_SCOPES = {6: 0b11}


class _Ruleset(ctypes.Structure):
    _fields_ = (
        ("handled_access_fs", ctypes.c_uint64),
        ("handled_access_net", ctypes.c_uint64),
        ("scoped", ctypes.c_uint64),
    )


class _PathBeneath(ctypes.Structure):
    _pack_ = 1
    _fields_ = (("allowed_access", ctypes.c_uint64), ("parent_fd", ctypes.c_int32))


def abi() -> int:
    """Return the version of Landlock that the running kernel offers; 0 = none."""
    try:
        return kernel.system_call("landlock_create_ruleset", 0, 0, _CREATE_RULESET_VERSION)
    except OSError:
        return 0


def handled(version: int) -> tuple[int, int, int]:
    """Return all rights that an ABI knows: of files, of the network, and its scopes."""

    def known(table: dict[int, int]) -> int:
        return sum(bits for since, bits in table.items() if since <= version)

    return known(_FILES), known(_NETWORK), known(_SCOPES)


def ruleset(readable: Iterable[str], version: int) -> int:
    """Return a descriptor of the rules for a worker; any number of workers may enter it.

    Args:
        readable: Files, and directories with all below them, that may be read; one that does not
            exist is passed over.
        version: What `abi` said, at least 1.

    Raises:
        OSError: The kernel refused.

    """
    descriptor = kernel.system_call(
        "landlock_create_ruleset",
        _Ruleset(*handled(version)),
        ctypes.sizeof(_Ruleset),
        0,
    )
    try:
        for path in readable:
            _grant(descriptor, path)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def enter(descriptor: int) -> None:
    """Put this process into a new domain of its own under a ruleset, for good.

    Raises:
        OSError: The kernel refused.

    """
    kernel.system_call("landlock_restrict_self", descriptor, 0)


def _grant(ruleset: int, path: str) -> None:
    try:
        descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except (FileNotFoundError, PermissionError, NotADirectoryError):
        return
    try:
        directory = stat.S_ISDIR(os.fstat(descriptor).st_mode)
        rights = _READ_FILE | _READ_DIRECTORY if directory else _READ_FILE
        rule = _PathBeneath(rights, descriptor)
        kernel.system_call("landlock_add_rule", ruleset, _RULE_PATH_BENEATH, rule, 0)
    finally:
        os.close(descriptor)
