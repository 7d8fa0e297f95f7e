"""The process that forks workers, started by the host (`zygote_process`).

It is executed anew rather than forked, so nothing of the host's memory is in it or its workers; it
stays small and single-threaded, because a fork copies its page tables, and it never runs plugin
code. It is the parent of all workers: it reaps them, and when it goes, they go.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import os
import select
import signal
import socket
import sys
import sysconfig
import time
from typing import NoReturn

import msgspec

from pluginsandbox.host import confine, immortal, memory, output, worker
from pluginsandbox.host.messages import (
    MESSAGE_BYTES,
    FromZygote,
    Listening,
    Reaped,
    Spawn,
    Spawned,
    SpawnFailed,
)
from pluginsandbox.host.rehearsal import rehearse

# What plugins commonly import: shared by all workers instead of loaded by each, and the extension
# modules among them could not be loaded in the serve phase. Absent ones are passed over.
PRELOADED = (
    *("abc", "array", "base64", "binascii", "bisect", "calendar", "collections.abc", "contextlib"),
    *("contextvars", "copy", "csv", "dataclasses", "datetime", "decimal", "enum", "fractions"),
    *("functools", "hashlib", "heapq", "hmac", "inspect", "io", "itertools", "json", "logging"),
    *("math", "mmap", "operator", "random", "re", "secrets", "statistics", "string", "struct"),
    *("textwrap", "threading", "time", "traceback", "typing", "unicodedata", "uuid", "weakref"),
    *("zlib", "zoneinfo", "_strptime", "_zoneinfo", "pluginsandbox.host.acts"),
    "pluginsandbox.host.overlap",
)
_PACKAGES = ("msgspec", "pluginsandbox.sdk")
# Lowest free one, so that those of a worker come from above what they become.
_DESCRIPTOR = 3
_DEVICES = ("/dev/null", "/dev/urandom")
_LIBRARIES = ("/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/local/lib", "/etc/ld.so.cache")
_TIME_ZONES = ("/usr/share/zoneinfo", "/etc/localtime")


def readable() -> list[str]:
    """Return what every worker may read: the interpreter, shared libraries, time zones."""
    packages = [path for name in _PACKAGES for path in importlib.import_module(name).__path__]
    library = os.path.join(sys.base_prefix, "lib")  # noqa: PTH118
    return [*standard_library(), library, *packages, *_LIBRARIES, *_TIME_ZONES, *_DEVICES]


def standard_library() -> list[str]:
    """Return the directories that the standard library is imported from."""
    platform = sysconfig.get_path("platstdlib")
    extensions = os.path.join(platform, "lib-dynload")  # noqa: PTH118
    return list(dict.fromkeys((sysconfig.get_path("stdlib"), platform, extensions)))


class Zygote:
    """Forks on request and reports what became of each worker.

    Args:
        channel: Socket to the host.
        wall: What each worker passes.

    """

    def __init__(self, channel: socket.socket, wall: confine.Wall) -> None:
        self._channel = channel
        self._wall = wall
        self._printed = output.Output()
        self._pid = os.getpid()
        self._workers: dict[int, int] = {}
        """Process id to the host's number of the worker."""
        self._inherited = memory.own_anonymous_bytes()
        self._decoder = msgspec.msgpack.Decoder(Spawn)
        self._encoder = msgspec.msgpack.Encoder()

    def run(self) -> None:
        """Serve until the host closes the socket."""
        woken, wake = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        self._listen()
        poll = select.poll()
        poll.register(self._channel, select.POLLIN)
        poll.register(woken, select.POLLIN)
        while True:
            ready = {descriptor for descriptor, _ in poll.poll()}
            if woken in ready:
                with contextlib.suppress(BlockingIOError):
                    os.read(woken, 4096)
                self._reap()
            if self._channel.fileno() in ready and not self._spawn():
                return

    def _listen(self) -> None:
        """Hand the host what tells of probing calls; from here on this process makes none."""
        descriptor = self._wall.listen()
        if descriptor is not None:
            self._tell(Listening(), descriptor)
            os.close(descriptor)

    def _spawn(self) -> bool:
        data, descriptors, _, _ = socket.recv_fds(
            self._channel, MESSAGE_BYTES, 1, socket.MSG_CMSG_CLOEXEC
        )
        if not data:
            return False
        spawn = self._decoder.decode(data)
        (channel,) = descriptors
        forked = time.perf_counter()
        try:
            ruleset = self._wall.ruleset(spawn.readable)
            pid = os.fork()
        except OSError as error:
            self._tell(SpawnFailed(spawn.worker, f"cannot fork a worker: {error.strerror}"))
        else:
            if pid == 0:
                self._become_worker(channel, ruleset, forked)
            self._workers[pid] = spawn.worker
            descriptor = os.pidfd_open(pid)
            self._tell(Spawned(spawn.worker, pid), descriptor)
            os.close(descriptor)
        os.close(channel)
        return True

    def _become_worker(self, channel: int, ruleset: int | None, forked: float) -> NoReturn:
        status = worker.BROKEN
        try:
            self._channel.detach()
            ruleset = self._wall.detach(channel, ruleset, self._pid)
            status = worker.run(self._wall, self._printed, ruleset, forked)
        except MemoryError:
            status = worker.OUT_OF_MEMORY
        finally:
            # Never back into the zygote's loop, nor through handlers that a plugin registered.
            os._exit(status)

    def _reap(self) -> None:
        while True:
            try:
                pid, status, usage = os.wait4(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if not pid:
                return
            peak = max(0, (usage.ru_maxrss << 10) - self._inherited)
            self._tell(Reaped(self._workers.pop(pid), status, peak))

    def _tell(self, message: FromZygote, *descriptors: int) -> None:
        socket.send_fds(self._channel, [self._encoder.encode(message)], descriptors)


def main(descriptor: int, parent: int) -> None:
    """Become the zygote.

    Args:
        descriptor: The socket to the host.
        parent: Process id of the host.

    """
    confine.enter_zygote(parent)
    # Of both, so that no worker has to: each of these calls takes 0.03 ms of its start.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    for name in PRELOADED:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    sys.dont_write_bytecode = True
    wall = confine.Wall(readable())
    # A worker's imports come from the standard library and from its plugin, nowhere else.
    sys.path[:] = standard_library()
    sys.path_importer_cache.clear()
    if descriptor != _DESCRIPTOR:
        os.dup2(descriptor, _DESCRIPTOR, inheritable=False)
        os.close(descriptor)
    rehearse()
    immortal.make()
    gc.freeze()
    gc.enable()
    Zygote(socket.socket(fileno=_DESCRIPTOR), wall).run()
