"""The host's hold on the zygote: starts it, asks it for workers, hears what became of them.

Requests wait here while a few are under way, so that ten thousand spawns neither fill the zygote's
socket nor keep descriptors in flight. A zygote that died is started anew at the next request.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import subprocess
from collections import deque
from typing import Protocol

import msgspec

from pluginsandbox.host import zygote_process
from pluginsandbox.host.messages import (
    MESSAGE_BYTES,
    FromZygote,
    Listening,
    Reaped,
    Spawn,
    Spawned,
    SpawnFailed,
)
from pluginsandbox.host.notices import Notices

_UNDER_WAY = 8
_RESTART_SECONDS = 1.0
"""Least time between two starts: one that dies at once must not keep the CPU busy."""


class Parent(Protocol):
    """Who asked for workers; every method returns at once and never raises."""

    def on_spawned(self, worker: int, pid: int, descriptor: int) -> None:
        """The worker is there; `descriptor` is its pidfd and the receiver's to close."""

    def on_spawn_failed(self, worker: int, message: str) -> None:
        """There will be no such worker."""

    def on_reaped(self, worker: int, status: int, peak_bytes: int) -> None:
        """The worker is gone; `status` is what waitpid said, `peak_bytes` the most it had."""

    def on_probing_refused(self, pid: int, call: str) -> None:
        """A process was refused a system call, whose name this is."""

    def on_zygote_lost(self) -> None:
        """The zygote is gone, and the kernel kills all workers with it."""


class Nursery:
    """Where workers come from.

    Args:
        parent: Told of every worker.
        loop: The host's event loop; it runs in the thread that started the host, because the
            kernel kills the zygote when the thread that started it ends.

    """

    def __init__(self, parent: Parent, loop: asyncio.AbstractEventLoop) -> None:
        self._parent = parent
        self._loop = loop
        self._socket: socket.socket | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._started = float("-inf")
        self._restart: asyncio.TimerHandle | None = None
        self._requests: deque[tuple[Spawn, socket.socket]] = deque()
        self._under_way: set[int] = set()
        self._notices: Notices | None = None
        self._encode = msgspec.msgpack.Encoder().encode
        self._decode = msgspec.msgpack.Decoder(FromZygote).decode

    @property
    def pid(self) -> int | None:
        """Process id of the zygote, if there is one."""
        return None if self._process is None else self._process.pid

    def start(self) -> None:
        """Start the zygote, unless there is one; it takes requests at once and answers when up."""
        if self._process is not None or self._restart is not None:
            return
        now = self._loop.time()
        wait = self._started + _RESTART_SECONDS - now
        if wait > 0:
            self._restart = self._loop.call_later(wait, self._start_late)
            return
        self._started = now
        self._socket, self._process = zygote_process.take()
        self._loop.add_reader(self._socket.fileno(), self._on_readable)

    def spawn(self, worker: int, readable: tuple[str, ...], channel: socket.socket) -> None:
        """Ask for a worker.

        Args:
            worker: The host's number for it.
            readable: Files and directories that it may read besides the interpreter's.
            channel: Its end of the socket; closed here once it is on its way.

        """
        self._requests.append((Spawn(worker, readable), channel))
        self.start()
        self._ask()

    def close(self) -> None:
        """End the zygote, and with it all workers; wait until it is gone."""
        if self._restart is not None:
            self._restart.cancel()
            self._restart = None
        for _, channel in self._requests:
            channel.close()
        self._requests.clear()
        self._end()

    def _start_late(self) -> None:
        self._restart = None
        self.start()
        self._ask()

    def _ask(self) -> None:
        while self._requests and len(self._under_way) < _UNDER_WAY and self._socket is not None:
            spawn, channel = self._requests.popleft()
            self._under_way.add(spawn.worker)
            with channel, contextlib.suppress(ConnectionError):
                # Room for these few is always there; a zygote that is gone is heard of by EOF.
                socket.send_fds(self._socket, [self._encode(spawn)], [channel.fileno()])

    def _on_readable(self) -> None:
        while self._socket is not None:
            try:
                data, descriptors, _, _ = socket.recv_fds(
                    self._socket, MESSAGE_BYTES, 1, socket.MSG_CMSG_CLOEXEC
                )
            except BlockingIOError:
                return
            except ConnectionError:
                data = b""
            if not data:
                self._lost()
                return
            self._hear(self._decode(data), descriptors)

    def _hear(self, message: FromZygote, descriptors: list[int]) -> None:
        match message:
            case Spawned():
                self._under_way.discard(message.worker)
                self._parent.on_spawned(message.worker, message.pid, descriptors[0])
                self._ask()
            case SpawnFailed():
                self._under_way.discard(message.worker)
                self._parent.on_spawn_failed(message.worker, message.message)
                self._ask()
            case Listening():
                refused = self._parent.on_probing_refused
                self._notices = Notices(descriptors[0], self._loop, refused)
            case Reaped():
                self._parent.on_reaped(message.worker, message.status, message.peak_bytes)

    def _lost(self) -> None:
        self._end()
        self._parent.on_zygote_lost()
        if self._requests:
            self.start()

    def _end(self) -> None:
        self._under_way.clear()
        if self._notices is not None:
            self._notices.close()
            self._notices = None
        if self._socket is not None:
            self._loop.remove_reader(self._socket.fileno())
            self._socket.close()
            self._socket = None
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
