"""What runs in a worker whose calls may overlap: the same as `worker`, on an event loop.

The zygote imports this module, since workers may not read it, but not asyncio, which few need.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from pluginsandbox.host import confine
from pluginsandbox.host.channel import Channel
from pluginsandbox.host.frames import (
    SEGMENT_BYTES,
    Call,
    Failed,
    FromWorker,
    Result,
    Segment,
    Shared,
)
from pluginsandbox.host.worker import Server, failed
from pluginsandbox.host.worker_shelf import WorkerShelf
from pluginsandbox.sdk import errors
from pluginsandbox.sdk.binding import Binding, LoadedPlugin

if TYPE_CHECKING:
    import asyncio


class OverlappingServer(Server):
    """Answers the host's frames as their calls end.

    Args:
        channel: The socket to the host.
        plugin: What is served; all its functions are async.
        result_bytes: Largest result.
        finish_output: Passes on what was printed without an end of line.

    """

    def __init__(
        self,
        channel: Channel,
        plugin: LoadedPlugin,
        result_bytes: int,
        finish_output: Callable[[], None],
    ) -> None:
        super().__init__(channel, plugin, result_bytes, finish_output)
        from pluginsandbox.sdk.overlap import Overlap  # noqa: PLC0415  # see the module

        if plugin.loop is None:
            raise LookupError("the plugin has no async function")
        self._loop = plugin.loop.events
        self._overlap = Overlap(self._loop)
        self._tasks: set[asyncio.Task[None]] = set()
        self._over = False
        self._broken: BaseException | None = None

    def run(self) -> None:
        """Serve until the host closes the socket."""
        self._loop.add_reader(confine.CHANNEL, self._on_readable)
        while not self._over:
            # What a task of the plugin raises so would end the loop, and is its own affair.
            with contextlib.suppress(SystemExit, KeyboardInterrupt):
                self._loop.run_forever()
        if self._broken is not None:
            raise self._broken

    def _on_readable(self) -> None:
        if not self._channel.readable:  # a call that asked the host something has read it
            return
        frame = self._channel.receive()
        if frame is None:
            self._stop(None)
        else:
            self._take(frame, self._payload(frame))
            self._take_waiting()

    def _take_waiting(self) -> None:
        while self._waiting:
            self._take(*self._waiting.popleft())

    def _ask(self, frame: FromWorker) -> Segment | Shared:
        # No other call runs meanwhile, so that there is one question at a time.
        try:
            return super()._ask(frame)
        finally:
            self._loop.call_soon(self._take_waiting)

    def _stop(self, broken: BaseException | None) -> None:
        self._over, self._broken = True, broken
        self._loop.stop()

    def _answer(self, frame: Call, body: bytes) -> None:
        task = self._loop.create_task(self._serve(frame, body))
        self._tasks.add(task)
        task.add_done_callback(self._served)

    def _served(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._stop(error)

    async def _serve(self, frame: Call, body: bytes) -> None:
        shelf = WorkerShelf(self._channel, self._ask)
        try:
            reply = await self._reply(frame, body, shelf)
            if isinstance(reply, Result) and len(reply.body) >= SEGMENT_BYTES:
                reply = self._moved(reply)
        except MemoryError:
            self._reserve = None
            reply = self._out_of_memory(frame)
        self._channel.call = frame.call
        self._finish_output()
        shelf.end_call()
        self._channel.call = 0
        self._channel.send(reply)
        if self._reserve is None:
            self._refill()

    async def _reply(self, frame: Call, body: bytes, shelf: WorkerShelf) -> Result | Failed:
        self._channel.call = frame.call
        bind_seconds = 0.0
        binding: Any = self._bindings.get(frame.context)
        if binding is None:
            first = self._first(frame, body)
            if isinstance(first, Failed):
                return first
            binding, body, bind_seconds = first
        try:
            codec, result = await self._overlap.call(
                binding,
                frame.function,
                frame.codec,
                body,
                frame.timeout_microseconds,
                lambda: self._enter(binding, frame, shelf),
                self._leave,
            )
        except (errors.CallError, errors.CallTimeout) as error:
            return failed(frame.call, error, bind_seconds)
        if len(result) > self._result_bytes:
            return self._too_large(frame.call, len(result), bind_seconds)
        return Result(frame.call, codec, result, bind_seconds)

    def _enter(self, binding: Binding, frame: Call, shelf: WorkerShelf) -> None:
        """Say whose step runs now."""
        self._channel.call = frame.call
        instance = binding.instance
        instance.traceparent = frame.traceparent
        instance._shelf = shelf  # noqa: SLF001  # as the SDK sets it

    def _leave(self) -> None:
        """Say that no call's step runs: a task that one has started may be next."""
        self._channel.call = 0
