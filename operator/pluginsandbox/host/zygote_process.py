"""Executes the zygote: the first thing that a host does, while it has nothing to hide yet.

It takes the zygote a while to import what plugins share; so a command line may `begin` it before it
imports anything else, and `take` hands that one over. This module imports nothing of ours for the
same reason.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from typing import NamedTuple

_PROGRAM = "from pluginsandbox.host.zygote_start import main; main({}, {})"


class ZygoteProcess(NamedTuple):
    """A zygote, and the host's end of the socket to it."""

    channel: socket.socket
    process: subprocess.Popen[bytes]


_begun: list[ZygoteProcess] = []


def begin() -> None:
    """Execute a zygote for the host that this process will be.

    It ends with this process, or when `take` is never called and the socket closes.

    Raises:
        OSError: The kernel refused.

    """
    _begun.append(_execute())


def take() -> ZygoteProcess:
    """Return the zygote that was begun, or a new one.

    Raises:
        OSError: The kernel refused.

    """
    return _begun.pop() if _begun else _execute()


def _execute() -> ZygoteProcess:
    # It sees the modules that this process sees and nothing else of its environment: no site
    # packages' start-up code, no variables that may hold credentials.
    path = [os.path.abspath(entry) for entry in sys.path]  # noqa: PTH100 - "" is here
    environment = {"PYTHONPATH": os.pathsep.join(path), "LANG": "C.UTF-8"}
    if "TZ" in os.environ:
        environment["TZ"] = os.environ["TZ"]
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    descriptor = theirs.fileno()
    with theirs:
        process = subprocess.Popen(
            (sys.executable, "-S", "-P", "-c", _PROGRAM.format(descriptor, os.getpid())),
            env=environment,
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            pass_fds=(descriptor,),
        )
    ours.setblocking(False)
    return ZygoteProcess(ours, process)
