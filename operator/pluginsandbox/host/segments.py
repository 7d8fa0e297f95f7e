"""Payloads too large for a frame travel in a memfd; the host makes every one, for one payload.

A request is sealed before the worker sees it. For a result the worker gets one of fixed size, fills
it through a mapping (its RLIMIT_FSIZE is 0, so it cannot write), and the host reads it once into
memory of its own before it looks at it.

Shared memory is nobody's data to RLIMIT_DATA, so a worker that kept what it was lent could hold any
amount of it. Therefore the host can still shrink what it lends (the worker cannot: ftruncate is not
among its system calls), and does so when the call is over: what is kept is empty.
"""

from __future__ import annotations

import fcntl
import mmap
import os

_NAME = "pluginsandbox-payload"
_NOEXEC_SEAL = 0x8  # MFD_NOEXEC_SEAL, Linux 6.3
_FLAGS = os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING
_BOUNDED = fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL
_READ_ONLY = fcntl.F_SEAL_WRITE | _BOUNDED


def holding(payload: bytes) -> int:
    """Return a memfd with `payload` in it that nobody can write to any more.

    Raises:
        OSError: No memory or no descriptor is left.

    """
    return _sealed(_READ_ONLY, payload)


def empty(size: int) -> int:
    """Return a memfd of `size` zero bytes that cannot grow.

    Raises:
        OSError: No memory or no descriptor is left.

    """
    return _sealed(_BOUNDED, size=size)


def take(descriptor: int, size: int) -> bytes:
    """Return the first `size` bytes of a memfd and give it back; fewer if it holds fewer."""
    try:
        return os.pread(descriptor, size, 0)
    finally:
        give_back(descriptor)


def give_back(descriptor: int) -> None:
    """Close a memfd of ours, and free its memory, whoever still has it open or mapped."""
    try:
        os.ftruncate(descriptor, 0)
    finally:
        os.close(descriptor)


def take_all(descriptor: int) -> bytes:
    """In a worker: return what a memfd holds, and close it."""
    try:
        return os.pread(descriptor, os.fstat(descriptor).st_size, 0)
    finally:
        os.close(descriptor)


def fill(descriptor: int, payload: bytes | memoryview) -> None:
    """Put a payload into a memfd of its size, and close it."""
    try:
        with mmap.mmap(descriptor, len(payload)) as mapped:
            mapped[:] = payload
    finally:
        os.close(descriptor)


def _sealed(seals: int, payload: bytes = b"", size: int = 0) -> int:
    try:
        descriptor = os.memfd_create(_NAME, _FLAGS | _NOEXEC_SEAL)
    except OSError:
        descriptor = os.memfd_create(_NAME, _FLAGS)
    try:
        if size:
            os.ftruncate(descriptor, size)
        left = memoryview(payload)
        while left:
            left = left[os.write(descriptor, left) :]
        fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, seals)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor
