"""The host's side of one worker: its socket, its table of open calls, its end.

All of it runs on the host's event loop and nothing blocks. A worker that says what it should not
is killed; what it says is passed on only after the check.
"""

from __future__ import annotations

import asyncio
import socket
from typing import Protocol

import msgspec

from pluginsandbox.host import exits, incoming, lent
from pluginsandbox.host.child import Child
from pluginsandbox.host.frames import (
    FRAME_BYTES,
    SEGMENT_BYTES,
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
    Result,
    SegmentWanted,
)
from pluginsandbox.host.incoming import ProtocolError
from pluginsandbox.host.lent import Lent
from pluginsandbox.host.log_bound import LogBound
from pluginsandbox.host.outbox import Outbox
from pluginsandbox.host.runtime import Prepared, WorkerEvents, WorkerExit
from pluginsandbox.host.shelf import Shelf
from pluginsandbox.host.vitals import BUSY

# Frames read for one wake-up of the loop, so that one worker cannot keep it from the others.
_BURST = 16
# From the end of its socket to the end of a process that exits.
_DYING_SECONDS = 0.2

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
        self._open: dict[int, type[Call | Reclaim]] = {}
        self._outbox = Outbox(channel, loop, self._unreachable)
        self._lent = Lent(plugin.config, owner.shelf, self._outbox)
        self._logs = LogBound()
        self._taken = 0
        """How many calls and errands it was given."""
        self._child = Child()
        self._killed: WorkerExit | None = None
        self._dying: asyncio.TimerHandle | None = None
        self._gone = False
        self.loaded: Loaded | None = None
        self.refused: LoadFailed | None = None

    @property
    def id(self) -> int:
        """Unique in the life of the host."""
        return self._number

    @property
    def pid(self) -> int:
        """Process id; 0 until the zygote has forked it."""
        return self._child.pid

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
            body, bind, moved = lent.together(body, bind, bind.restored)
            large = large or moved
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
            return
        try:
            self._lent.lend(frame, body)
        except OSError as error:
            self._no_room(error)

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
        return 0 if self._gone else self._child.size()

    def look(self) -> None:
        """End it if it used the CPU since the last look, with nothing to do then or since."""
        if not self.pid or self.loaded is None or self._gone:
            return
        if self._child.burns(BUSY if self._open else self._taken):
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
        self._child.spawned(pid, descriptor)
        if self._killed is None:
            # Not before: what it says is checked against what the kernel says of its process.
            self._loop.add_reader(self._socket.fileno(), self._on_readable)
        else:
            self._child.kill()

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
        self._events.on_exit(self, msgspec.structs.replace(end, peak_bytes=peak_bytes))
        self._owner.forget(self)

    def orphaned(self) -> None:
        """Hear that the zygote is gone, and the process, killed with it, about to be."""
        if self._gone:
            return
        if self._child.held:
            self._child.kill()
            self._child.on_end(self._loop, lambda: self.gone(None))
        else:
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
            self._lent.exchange.hear(frame)
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
            body = self._lent.take(frame)
        given = self._lent
        if given.results or given.arguments or given.exchange.busy:
            given.give_back(frame.call)
        point = frame.checkpoint
        if point is not None:
            body, slots = lent.apart(body, point)
        if len(body) > self._result_bytes:
            raise ProtocolError("it sent a result over limits.resultBytes")
        if point is None or self._stored(frame.call, point, slots):
            self._events.on_result(self, frame, body)

    def _on_failed(self, frame: Failed) -> None:
        self._answered(frame.call, Call)
        body = self._lent.take_any(frame.call)
        self._lent.give_back(frame.call)
        point = frame.checkpoint
        if point is None or self._stored(frame.call, point, lent.apart(body, point)[1]):
            self._events.on_failed(self, frame)

    def _stored(self, call: int, point: Checkpoint, slots: bytes) -> bool:
        """Have durable slots stored; False if the worker was ended for them."""
        self._events.on_checkpoint(self, call, point, incoming.slots(slots))
        return self._killed is None

    def _on_segment_wanted(self, frame: SegmentWanted) -> None:
        if self._open.get(frame.call) is not Call or self._lent.results:
            raise ProtocolError("it asked for a segment for no call, or for a second one")
        try:
            self._lent.give(frame)
        except OSError as error:
            self._no_room(error)

    def _on_log(self, frame: Log) -> None:
        self._logs.count(self._loop.time())
        if frame.call and frame.call not in self._open:
            raise ProtocolError("it logged for a call that is not open")
        self._events.on_log(self, frame)

    def _answered(self, call: int, kind: type[Call | Reclaim]) -> None:
        if self._open.pop(call, None) is not kind:
            raise ProtocolError("it answered a call that is not open")

    # --- its socket and its process --------------------------------------------------------------

    def _unreachable(self, error: OSError) -> None:
        self._end(WorkerExit("Killed", f"it could not be sent a frame: {error.strerror}"))

    def _no_room(self, error: OSError) -> None:
        self._end(WorkerExit("Killed", f"the host has no room left for a payload: {error}"))

    def _closed(self) -> None:
        """Its end of the socket is closed: it is dying, or else it is made to."""
        self._loop.remove_reader(self._socket.fileno())
        self._dying = self._loop.call_later(_DYING_SECONDS, self._end, exits.CLOSED)

    def _end(self, end: WorkerExit) -> None:
        if self._killed is None and not self._gone:
            self._killed = end
            self._outbox.close()
            self._loop.remove_reader(self._socket.fileno())
            self._child.kill()

    def _close(self) -> None:
        if self._dying is not None:
            self._dying.cancel()
        self._outbox.close()
        self._loop.remove_reader(self._socket.fileno())
        self._socket.close()
        self._child.close(self._loop)
        self._lent.close()
