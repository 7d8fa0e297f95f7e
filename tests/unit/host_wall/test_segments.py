from __future__ import annotations

import fcntl
import mmap
import os
from collections.abc import Callable

import pytest

from pluginsandbox.host import segments

PAYLOAD = os.urandom(300_000)


def test_a_payload_comes_out_as_it_went_in() -> None:
    descriptor = segments.holding(PAYLOAD)
    assert segments.take_all(descriptor) == PAYLOAD
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(descriptor)


def test_a_result_comes_out_as_it_was_filled_in() -> None:
    ours = segments.empty(len(PAYLOAD))
    segments.fill(os.dup(ours), PAYLOAD)
    assert segments.take(ours, len(PAYLOAD)) == PAYLOAD


@pytest.fixture
def sealed() -> int:
    return segments.holding(PAYLOAD)


def test_a_sealed_payload_cannot_be_changed_by_any_way(sealed: int) -> None:
    with pytest.raises(PermissionError):
        os.pwrite(sealed, b"x", 0)
    with pytest.raises(PermissionError):
        mmap.mmap(sealed, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE)
    with pytest.raises(PermissionError):
        os.ftruncate(sealed, 1 << 20)
    with pytest.raises(PermissionError):
        fcntl.fcntl(sealed, fcntl.F_ADD_SEALS, fcntl.F_SEAL_WRITE)
    again = os.open(f"/proc/self/fd/{sealed}", os.O_RDWR)
    with pytest.raises(PermissionError):
        os.pwrite(again, b"x", 0)
    os.close(again)
    assert segments.take_all(sealed) == PAYLOAD


def test_a_result_segment_does_not_grow() -> None:
    descriptor = segments.empty(4096)
    with pytest.raises(PermissionError):
        os.ftruncate(descriptor, 1 << 20)
    with pytest.raises(PermissionError):
        os.pwrite(descriptor, b"x", 4096)
    assert segments.take(descriptor, 4096) == bytes(4096)


@pytest.mark.parametrize("make", [lambda: segments.holding(PAYLOAD), lambda: segments.empty(4096)])
def test_what_is_given_back_is_empty_for_all_who_kept_it(make: Callable[[], int]) -> None:
    ours = make()
    kept = os.dup(ours)
    mapped = mmap.mmap(kept, 4096, prot=mmap.PROT_READ)
    segments.give_back(ours)
    assert (os.fstat(kept).st_size, os.fstat(kept).st_blocks) == (0, 0)
    with pytest.raises(PermissionError):
        os.ftruncate(kept, 4096)
    mapped.close()
    os.close(kept)


def test_nothing_in_a_segment_is_executable() -> None:
    descriptor = segments.empty(4096)
    assert os.fstat(descriptor).st_mode & 0o111 == 0
    os.close(descriptor)
