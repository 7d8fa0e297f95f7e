"""Payloads in memfds, from a worker's side: what it is lent it can read or fill, and no more."""

from __future__ import annotations

import ast
from collections.abc import Iterator

import pytest

from tests.integration.host_bed import Host, plugin, running

LARGE = "x" * 70_000
CODE = """
    import fcntl
    import mmap
    import os

    from pluginsandbox.host import segments
    from pluginsandbox.sdk import Plugin, function

    FUTURE_WRITE = 0x10
    ATTEMPTS = {
        "write": lambda lent: os.pwrite(lent, b"evil", 0),
        "grow": lambda lent: os.ftruncate(lent, 1 << 20),
        "shrink": lambda lent: os.ftruncate(lent, 0),
        "allocate": lambda lent: os.posix_fallocate(lent, 0, 1 << 20),
        "map to write": lambda lent: mmap.mmap(lent, 4096).close(),
        "open to write": lambda lent: os.close(os.open(f"/proc/self/fd/{lent}", os.O_RDWR)),
        "seal": lambda lent: fcntl.fcntl(lent, fcntl.F_ADD_SEALS, fcntl.F_SEAL_WRITE),
        "seal what comes": lambda lent: fcntl.fcntl(lent, fcntl.F_ADD_SEALS, FUTURE_WRITE),
    }
    lent: list[tuple[str, int, set[str]]] = []
    kept = []


    def tried(kind, descriptor):
        done = set()
        for name, attempt in ATTEMPTS.items():
            try:
                attempt(descriptor)
            except OSError:
                continue
            done.add(name)
        lent.append((kind, os.fstat(descriptor).st_ino, done))


    take_all, fill = segments.take_all, segments.fill


    def spying_take_all(descriptor):
        tried("arguments", descriptor)
        kept.append(mmap.mmap(descriptor, 4096, access=mmap.ACCESS_READ))
        return take_all(descriptor)


    def spying_fill(descriptor, payload):
        tried("result", descriptor)
        fill(descriptor, payload)


    segments.take_all, segments.fill = spying_take_all, spying_fill


    class Spy(Plugin):
        @function
        def echo(self, text: str) -> str:
            return text

        @function
        def what_was_lent(self) -> str:
            return repr(lent)

        @function
        def look_again(self) -> str:
            return repr(kept[0][:4])
"""


@pytest.fixture
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    folder = tmp_path_factory.mktemp("host")
    with running(folder, plugin(folder, "spy", CODE, "Spy"), plugin(folder)) as host:
        yield host


def test_a_worker_can_read_its_arguments_fill_its_result_and_nothing_else(host: Host) -> None:
    for _ in range(2):
        assert host.call("echo", {"text": LARGE}, "a", plugin="spy").json == LARGE
    lent = ast.literal_eval(host.call("what_was_lent", {}, "a", plugin="spy").json)
    assert [kind for kind, _, _ in lent] == ["arguments", "result"] * 2
    for kind, _, done in lent:
        assert done == (set() if kind == "arguments" else {"map to write"})
    numbers = [number for _, number, _ in lent]
    assert len(set(numbers)) == len(numbers)  # none is used a second time


def test_what_a_worker_keeps_of_a_payload_is_empty_once_its_call_is_over(host: Host) -> None:
    assert host.call("echo", {"text": LARGE}, "a", plugin="spy").json == LARGE
    died = host.call("look_again", {}, "a", plugin="spy")
    assert died.status == 502
    assert "SIGBUS" in died.json["detail"]
    assert host.call("add", {}, "a").json == 1
