from __future__ import annotations

import fcntl
import mmap
import os

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
    for size in (0, 1 << 20):
        with pytest.raises(PermissionError):
            os.ftruncate(sealed, size)
    with pytest.raises(PermissionError):
        fcntl.fcntl(sealed, fcntl.F_ADD_SEALS, fcntl.F_SEAL_WRITE)
    again = os.open(f"/proc/self/fd/{sealed}", os.O_RDWR)
    with pytest.raises(PermissionError):
        os.pwrite(again, b"x", 0)
    os.close(again)
    assert segments.take_all(sealed) == PAYLOAD


def test_a_result_segment_keeps_its_size() -> None:
    descriptor = segments.empty(4096)
    for size in (0, 1 << 20):
        with pytest.raises(PermissionError):
            os.ftruncate(descriptor, size)
    with pytest.raises(PermissionError):
        os.pwrite(descriptor, b"x", 4096)
    assert segments.take(descriptor, 4096) == bytes(4096)


def test_nothing_in_a_segment_is_executable() -> None:
    descriptor = segments.empty(4096)
    assert os.fstat(descriptor).st_mode & 0o111 == 0
    os.close(descriptor)
