from __future__ import annotations

import os
import signal

import pytest

from pluginsandbox.host.exits import BROKEN, CLOSED, OUT_OF_MEMORY, classify
from pluginsandbox.host.runtime import WorkerExit

OURS = WorkerExit("Killed", "killed by the host")
LIE = WorkerExit("Protocol", "it lied")


def exited(code: int) -> int:
    return code << 8


@pytest.mark.parametrize(
    ("status", "oom", "cause", "detail"),
    [
        (exited(0), False, "Exit", "exit status 0"),
        (exited(BROKEN), False, "Exit", "exit status 70"),
        (exited(OUT_OF_MEMORY), False, "Memory", "it used up its memory limit"),
        (signal.SIGSEGV, False, "Signal", "signal SIGSEGV"),
        (signal.SIGSEGV | 0x80, False, "Signal", "signal SIGSEGV"),  # with a core dump
        (signal.SIGRTMIN + 3, False, "Signal", "signal 37"),
        (signal.SIGSYS, False, "Denied", "it made a system call"),
        (signal.SIGKILL, False, "Signal", "signal SIGKILL"),
        (signal.SIGKILL, True, "Memory", "the container ran out of memory"),
        (signal.SIGSEGV, True, "Signal", "signal SIGSEGV"),
        (None, False, "Signal", "killed with the process that had forked it"),
    ],
)
def test_the_kernel_tells_the_cause(
    status: int | None, *, oom: bool, cause: str, detail: str
) -> None:
    end = classify(status, killed=None, oom=lambda: oom)
    assert end.cause == cause
    assert detail in end.detail


def test_a_kill_of_ours_is_named_as_we_meant_it() -> None:
    assert classify(signal.SIGKILL, killed=OURS, oom=lambda: False) is OURS
    assert classify(None, killed=OURS, oom=lambda: False) is OURS


def test_a_worker_that_was_faster_than_our_kill_died_its_own_death() -> None:
    assert classify(signal.SIGSYS, killed=OURS, oom=lambda: False).cause == "Denied"
    assert classify(exited(3), killed=OURS, oom=lambda: False).detail == "exit status 3"


def test_a_worker_that_lied_and_left_before_our_kill_still_lied() -> None:
    assert classify(exited(BROKEN), killed=LIE, oom=lambda: False) is LIE


def test_a_worker_whose_socket_closed_because_it_died_did_not_lie() -> None:
    assert classify(signal.SIGSYS, killed=CLOSED, oom=lambda: False).cause == "Denied"
    assert classify(signal.SIGKILL, killed=CLOSED, oom=lambda: False) is CLOSED


def test_the_encoding_is_that_of_this_system() -> None:
    pid = os.fork()
    if pid == 0:
        os._exit(3)
    _, status = os.waitpid(pid, 0)
    assert classify(status, killed=None, oom=lambda: False) == WorkerExit("Exit", "exit status 3")
