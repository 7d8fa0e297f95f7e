"""The host's side of one worker: its socket, its table of open calls, its end.

All of it runs on the host's event loop and nothing blocks. A worker that says what it should not
is killed; what it says is passed on only after the check.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import os
import signal
import socket
from collections.abc import Callable
from typing import Protocol, TypeVar

import msgspec

from pluginsandbox.host import exits, incoming, segments
from pluginsandbox.host.exchange import Exchange
from pluginsandbox.host.frames import (
    FRAME_BYTES,
    SEGMENT_BYTES,
    STATE_BYTES,
    Bind,
    Borrow,
    Call,
    Checkpoint,
    Failed,
    Filled,
    FromWorker,
    Loaded,
    LoadFailed,
    Log,
    Panicked,
    Publish,
    Reclaim,
    Reclaimed,
    Restored,
    Result,
    Segment,
    SegmentWanted,
)
from pluginsandbox.host.incoming import ProtocolError
from pluginsandbox.host.outbox import Outbox
from pluginsandbox.host.runtime import Prepared, WorkerEvents, WorkerExit
from pluginsandbox.host.shelf import Shelf
from pluginsandbox.host.vitals import BUSY, Vitals
from pluginsandbox.sdk.durable import MAX_SLOTS

# Frames read for one wake-up of the loop, so that one worker cannot keep it from the others.
_BURST = 16
# From the end of its socket to the end of a process that exits.
_DYING_SECONDS = 0.2
# Five times what a worker's own bound lets through, for what piles up while the host stands still.
_LOGS_PER_SECOND = 1000

# What MessagePack adds to a map of so many names and values.
_SLOTS_HEADER_BYTES = 5 + 10 * MAX_SLOTS

Size = TypeVar("Size", bytes, int)

# One buffer for all workers: what is decoded is copied out of it at once.
_buffer = bytearray(FRAME_BYTES + 1)
_view = memoryview(_buffer)
_encode = msgspec.msgpack.Encoder().encode


class Owner(Protocol):
    """Who made a worker."""

    @property
    def shelf(self) -> Shelf:
        """What the plugins of the sandbox publish."""

    def forget(self, worker: PythonWorker) -> None:
        """Hear that the worker is gone, after its last event."""

    def out_of_memory(self) -> bool:
        """Claim a death for want of memory, if there is one that nobody has claimed."""

    def walled(self, worker: PythonWorker) -> bool:
        """Whether a worker that says that it serves is behind the whole wall."""


class PythonWorker:
    """One confined child with one plugin in it; see `runtime.Worker`.

    Args:
        number: Unique in the life of the host.
        plugin: What it serves.
        events: Whom to tell.
        channel: The host's end of its socket, not blocking.
        loop: The host's event loop.
        owner: Who made it.

    """

    def __init__(
        self,
        number: int,
        plugin: Prepared,
        events: WorkerEvents,
        channel: socket.socket,
        loop: asyncio.AbstractEventLoop,
        owner: Owner,
    ) -> None:
        self._number = number
        self._plugin = plugin
        self._events = events
        self._socket = channel
        self._loop = loop
        self._owner = owner
        self._result_bytes = plugin.config.limits.result_bytes
        self._segment_bytes = (
            self._result_bytes + plugin.config.limits.durable_bytes + _SLOTS_HEADER_BYTES
        )
        self._open: dict[int, type[Call | Reclaim]] = {}
        self._segments: dict[int, tuple[int, int]] = {}
        """Call to the memfd that it was given for its result, and its size."""
        self._lent: dict[int, int] = {}
        """Call to the memfd with its arguments."""
        self._outbox = Outbox(channel, loop, self._unreachable)
        self._exchange = Exchange(plugin.config.name, owner.shelf, self._outbox)
        self._log_second, self._logs = 0, 0
        self._taken = 0
        """How many calls and errands it was given."""
        self._vitals = Vitals()
        self._killed: WorkerExit | None = None
        self._dying: asyncio.TimerHandle | None = None
        self._pidfd = -1
        self._gone = False
        self.pid = 0
        """Process id; 0 until the zygote has forked it."""
        self.loaded: Loaded | None = None
        self.refused: LoadFailed | None = None

    @property
    def id(self) -> int:
        """Unique in the life of the host."""
        return self._number

    @property
    def plugin(self) -> Prepared:
        """What it serves."""
        return self._plugin

    # --- what the host asks of it ----------------------------------------------------------------

    def call(
        self,
        *,
        call: int,
        function: int,
        context: int,
        timeout_microseconds: int,
        codec: int,
        traceparent: str,
        body: bytes,
        bind: Bind | None,
    ) -> None:
        """Start a call; answered by on_result or on_failed."""
        self._open[call] = Call
        self._taken += 1
        large = len(body) >= SEGMENT_BYTES
        if bind is not None and bind.restored is not None:
            state = bind.restored.slots
            if len(state) >= STATE_BYTES or len(body) + len(state) >= SEGMENT_BYTES:
                large, body = True, body + state
                moved = Restored(bind.restored.digest, b"", len(state))
                bind = msgspec.structs.replace(bind, restored=moved)
        frame = Call(
            call,
            self._plugin.index,
            function,
            context,
            timeout_microseconds,
            codec,
            traceparent,
            b"" if large else body,
            large,
            bind,
        )
        if not large:
            self._outbox.send(_encode(frame))
        elif (descriptor := self._made(segments.holding, body)) >= 0:
            self._lent[call] = descriptor
            self._lend(_encode(frame), descriptor)

    def reclaim(self, *, call: int, context: int, cause: str, timeout_microseconds: int) -> None:
        """Give a binding back; answered by on_reclaimed."""
        self._open[call] = Reclaim
        self._taken += 1
        self._outbox.send(_encode(Reclaim(call, context, cause, timeout_microseconds)))

    def panicked(self, message: str) -> None:
        """Tell the plugin how the worker before this one died."""
        self._outbox.send(_encode(Panicked(message)))

    def measured_bytes(self) -> int:
        """Proportional set size of the process in bytes, as the kernel says; 0 if it is gone."""
        if not self.pid or self._gone:
            return 0
        size = self._vitals.size(self.pid)
        # Only a process that is still there cannot have lent its number to another meanwhile.
        return size if self._signal(0) else 0

    def look(self) -> None:
        """End it if it used the CPU since the last look, with nothing to do then or since."""
        if not self.pid or self.loaded is None or self._gone:
            return
        if self._vitals.burns(self.pid, BUSY if self._open else self._taken):
            self._end(WorkerExit("Protocol", "it used the CPU although no call was with it"))

    def kill(self) -> None:
        """End it now; on_exit follows, and no other event. Repeating is harmless."""
        self._end(WorkerExit("Killed", "killed by the host"))

    # --- what the nursery tells of it ------------------------------------------------------------

    def begin(self, start: bytes) -> None:
        """Send the first message, before there is a process to read it."""
        self._socket.send(start)

    def spawned(self, pid: int, descriptor: int) -> None:
        """Take the pidfd of the process."""
        self.pid, self._pidfd = pid, descriptor
        if self._killed is None:
            # Not before: what it says is checked against what the kernel says of its process.
            self._loop.add_reader(self._socket.fileno(), self._on_readable)
        else:
            self._signal(signal.SIGKILL)

    def denied(self, call: str) -> None:
        """Hear that the process was refused a system call."""
        self._events.on_denied(self, call)

    def gone(self, status: int | None, peak_bytes: int = 0) -> None:
        """Hear that the process is no more; pass on what it said before, then its end.

        Args:
            status: What waitpid said; None if nobody could wait for it.
            peak_bytes: Most that it ever had; 0 if nobody knows.

        """
        if self._gone:
            return
        while self._killed is None and self._read():
            pass
        self._gone = True
        self._close()
        end = exits.classify(status, killed=self._killed, oom=self._owner.out_of_memory)
        if self.refused is not None and self._killed is None:
            end = WorkerExit(end.cause, f"{self.refused.reason}: {self.refused.message}")
        self._events.on_exit(self, dataclasses.replace(end, peak_bytes=peak_bytes))
        self._owner.forget(self)

    def orphaned(self) -> None:
        """Hear that the zygote is gone, and the process, killed with it, about to be."""
        if self._gone:
            return
        if self._pidfd < 0:
            self.gone(None)
            return
        self._signal(signal.SIGKILL)
        self._loop.add_reader(self._pidfd, self._orphan_ended)

    def _orphan_ended(self) -> None:
        # To process 1 of a pod orphans are its own children.
        with contextlib.suppress(ChildProcessError):
            os.waitid(os.P_PIDFD, self._pidfd, os.WEXITED | os.WNOHANG)
        self.gone(None)

    def never_came(self, message: str) -> None:
        """Hear that there is no process."""
        self._killed = WorkerExit("Exit", message)
        self.gone(None)

    # --- what it says ----------------------------------------------------------------------------

    def _on_readable(self) -> None:
        for _ in range(_BURST):
            # Of one call one answer is due: to read on and find nothing costs as much as an answer.
            due = len(self._open)
            if not self._read() or due <= 1:
                return

    def _read(self) -> bool:
        """Read one frame; False if there is none, or nothing more is to be read."""
        if self._killed is not None:
            return False
        try:
            # A descriptor cannot come along: sendmsg is refused to workers, and would be dropped
            # here.
            size = self._socket.recv_into(_buffer)
        except BlockingIOError:
            return False
        except ConnectionError:
            size = 0
        if not size:
            if self._dying is None:
                self._closed()
            return False
        try:
            if size > FRAME_BYTES:
                raise ProtocolError("it sent a frame that is too large")  # noqa: TRY301
            frame = incoming.decode(_view[:size])
            if type(frame) is Result:
                self._on_result(frame)
            else:
                self._hear(frame)
        except ProtocolError as error:
            self._end(WorkerExit("Protocol", str(error)))
        return self._killed is None

    def _hear(self, frame: FromWorker) -> None:
        if isinstance(frame, Log):
            self._on_log(frame)
        elif self.loaded is None:
            self._on_first(frame)
        elif isinstance(frame, Failed):
            self._on_failed(frame)
        elif isinstance(frame, Reclaimed):
            self._answered(frame.call, Reclaim)
            self._events.on_reclaimed(self, frame)
        elif isinstance(frame, SegmentWanted):
            self._on_segment_wanted(frame)
        elif isinstance(frame, Publish | Filled | Borrow):
            if self._open.get(frame.call) is not Call:
                raise ProtocolError("it published or borrowed for no call")
            self._exchange.hear(frame)
        else:
            raise ProtocolError(f"it sent {type(frame).__name__} again")

    def _on_first(self, frame: FromWorker) -> None:
        if isinstance(frame, Loaded):
            if not self._owner.walled(self):
                raise ProtocolError("it said that it serves before it was behind the whole wall")
            self.loaded = frame
            self._events.on_ready(self)
        elif isinstance(frame, LoadFailed) and self.refused is None:
            self.refused = frame
        else:
            raise ProtocolError(f"it sent {type(frame).__name__} before it was loaded")

    def _on_result(self, frame: Result) -> None:
        if self._open.pop(frame.call, None) is not Call:
            raise ProtocolError("it answered a call that is not open")
        body = frame.body
        if frame.segment:
            descriptor, size = self._segments.pop(frame.call, (-1, -1))
            if frame.size != size:
                raise ProtocolError("it named a segment that it was not given")
            body = segments.take(descriptor, size)
        if self._segments or self._lent or self._exchange.busy:
            self._give_back(frame.call)
        point = frame.checkpoint
        if point is not None:
            body, slots = _apart(body, point)
        if len(body) > self._result_bytes:
            raise ProtocolError("it sent a result over limits.resultBytes")
        if point is None or self._stored(frame.call, point, slots):
            self._events.on_result(self, frame, body)

    def _on_failed(self, frame: Failed) -> None:
        self._answered(frame.call, Call)
        descriptor, size = self._segments.pop(frame.call, (-1, 0))
        body = segments.take(descriptor, size) if descriptor >= 0 else b""
        self._give_back(frame.call)
        point = frame.checkpoint
        if point is None or self._stored(frame.call, point, _apart(body, point)[1]):
            self._events.on_failed(self, frame)

    def _stored(self, call: int, point: Checkpoint, slots: bytes) -> bool:
        """Have durable slots stored; False if the worker was ended for them."""
        self._events.on_checkpoint(self, call, point, incoming.slots(slots))
        return self._killed is None

    def _on_segment_wanted(self, frame: SegmentWanted) -> None:
        if self._open.get(frame.call) is not Call or self._segments:
            raise ProtocolError("it asked for a segment for no call, or for a second one")
        if frame.size > self._segment_bytes:
            raise ProtocolError("it asked for a segment over limits.resultBytes and durableBytes")
        descriptor = self._made(segments.empty, frame.size)
        if descriptor < 0:
            return
        self._segments[frame.call] = (descriptor, frame.size)
        self._lend(_encode(Segment(frame.call, frame.size)), descriptor)

    def _on_log(self, frame: Log) -> None:
        second = int(self._loop.time())
        if second != self._log_second:
            self._log_second, self._logs = second, 0
        self._logs += 1
        if self._logs > _LOGS_PER_SECOND:
            raise ProtocolError(f"it logged more than {_LOGS_PER_SECOND} lines in one second")
        if frame.call and frame.call not in self._open:
            raise ProtocolError("it logged for a call that is not open")
        self._events.on_log(self, frame)

    def _answered(self, call: int, kind: type[Call | Reclaim]) -> None:
        if self._open.pop(call, None) is not kind:
            raise ProtocolError("it answered a call that is not open")

    def _lend(self, frame: bytes, descriptor: int) -> None:
        """Send a frame and the memfd that it speaks of; ours stays open, to be given back."""
        copy = self._made(os.dup, descriptor)
        if copy >= 0:
            self._outbox.send(frame, copy)

    def _made(self, make: Callable[[Size], int], of: Size) -> int:
        try:
            return make(of)
        except OSError as error:
            self._end(WorkerExit("Killed", f"the host has no room left for a payload: {error}"))
            return -1

    def _give_back(self, call: int) -> None:
        """Free the memory of a call that is over, though the worker may hold on to it."""
        self._exchange.end(call)
        result, _ = self._segments.pop(call, (-1, -1))
        for descriptor in (result, self._lent.pop(call, -1)):
            if descriptor >= 0:
                segments.give_back(descriptor)

    # --- its socket and its process --------------------------------------------------------------

    def _unreachable(self, error: OSError) -> None:
        self._end(WorkerExit("Killed", f"it could not be sent a frame: {error.strerror}"))

    def _closed(self) -> None:
        """Its end of the socket is closed: it is dying, or else it is made to."""
        self._loop.remove_reader(self._socket.fileno())
        self._dying = self._loop.call_later(_DYING_SECONDS, self._end, exits.CLOSED)

    def _end(self, end: WorkerExit) -> None:
        if self._killed is None and not self._gone:
            self._killed = end
            self._outbox.close()
            self._loop.remove_reader(self._socket.fileno())
            self._signal(signal.SIGKILL)

    def _signal(self, number: int) -> bool:
        if self._pidfd < 0:
            return False
        try:
            signal.pidfd_send_signal(self._pidfd, number)
        except ProcessLookupError:
            return False
        return True

    def _close(self) -> None:
        if self._dying is not None:
            self._dying.cancel()
        self._outbox.close()
        self._loop.remove_reader(self._socket.fileno())
        self._socket.close()
        if self._pidfd >= 0:
            self._loop.remove_reader(self._pidfd)
            os.close(self._pidfd)
            self._pidfd = -1
        for call in (*self._segments, *self._lent):
            self._give_back(call)
        self._exchange.close()


def _apart(body: bytes, point: Checkpoint) -> tuple[bytes, bytes]:
    """Return payload and durable slots of an answer, wherever they travelled."""
    if not point.size:
        return body, point.slots
    if point.size > len(body):
        raise ProtocolError("it named more durable slots than it sent")
    return body[: -point.size], body[-point.size :]
