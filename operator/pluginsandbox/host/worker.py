"""What runs in a worker: load one plugin behind the wall, then serve its calls one at a time.

Called by the zygote in a fresh fork. Everything in this process belongs to the plugin once its
module is imported: what it says to the host is believed only as far as the host can check.
"""

from __future__ import annotations

import contextlib
import mmap
import time
from collections import deque
from collections.abc import Callable
from importlib.machinery import ExtensionFileLoader, ModuleSpec
from types import ModuleType

import msgspec

from pluginsandbox.host import acts, confine, output, segments
from pluginsandbox.host.channel import Channel
from pluginsandbox.host.exits import BROKEN, OUT_OF_MEMORY
from pluginsandbox.host.frames import (
    SEGMENT_BYTES,
    STATE_BYTES,
    Bind,
    Call,
    Checkpoint,
    Failed,
    FromWorker,
    FunctionInfo,
    Loaded,
    LoadFailed,
    Panicked,
    Reclaim,
    Reclaimed,
    Result,
    Segment,
    SegmentWanted,
    Shared,
    ToWorker,
)
from pluginsandbox.host.messages import Start
from pluginsandbox.host.worker_shelf import WorkerShelf
from pluginsandbox.sdk import durable, errors, loading

__all__ = ["BROKEN", "OUT_OF_MEMORY", "run"]

# Given up to answer a call that used up all other memory.
_RESERVE_BYTES = 256 << 10
_REFUSED = 1
"""Exit status after LoadFailed."""

_MESSAGE = 2000
_OUT_OF_MEMORY = "the worker has reached limits.memory"


def run(wall: confine.Wall, printed: output.Output, ruleset: int | None, forked: float) -> int:
    """Be a worker until the host closes the socket.

    Args:
        wall: What to pass before and after the plugin's import.
        printed: Where the plugin's output goes.
        ruleset: Its Landlock rules.
        forked: When this process was forked, in seconds of `time.perf_counter`.

    Returns:
        The exit status.

    """
    channel = Channel(confine.CHANNEL)
    start = channel.start()
    if start is None:
        return 0
    try:
        wall.load_phase(ruleset, start.memory_bytes, strict=start.strict)
        printed.capture(channel.log)
        confined = time.perf_counter()
        plugin, functions = (acts.Probe(), ()) if start.probe else _load(start)
        loaded = time.perf_counter()
        printed.finish()
        wall.serve_phase(strict=start.strict)
        _explain_late_extensions()
    except confine.ConfinementError as error:
        channel.send(LoadFailed("ConfinementImpossible", str(error)))
        return _REFUSED
    except errors.LoadError as error:
        channel.send(LoadFailed(error.reason, error.message))
        return _REFUSED
    start_seconds = confined - forked + time.perf_counter() - loaded
    channel.send(Loaded(functions, loaded - confined, start_seconds))
    _server(channel, plugin, start, printed.finish).run()
    return 0


def _server(
    channel: Channel,
    plugin: loading.LoadedPlugin | acts.Probe,
    start: Start,
    finish_output: Callable[[], None],
) -> Server:
    if start.concurrency > 1 and isinstance(plugin, loading.LoadedPlugin):
        from pluginsandbox.host.overlap import OverlappingServer  # noqa: PLC0415  # it needs this

        return OverlappingServer(channel, plugin, start.result_bytes, finish_output)
    return Server(channel, plugin, start.result_bytes, finish_output)


def _load(start: Start) -> tuple[loading.LoadedPlugin, tuple[FunctionInfo, ...]]:
    identity = loading.Identity(start.namespace, start.sandbox, start.plugin)
    try:
        plugin = loading.load(
            start.entry_point,
            start.root,
            identity,
            start.config,
            start.secrets,
            start.durable_bytes,
        )
        if start.concurrency > 1:
            from pluginsandbox.sdk import overlap  # noqa: PLC0415  # asyncio is slow to import

            overlap.check(plugin)
        return plugin, _functions(plugin) if start.describe else ()
    except errors.LoadError as error:
        if isinstance(error.__cause__, MemoryError):
            limit = f"{start.memory_bytes >> 20} MiB"
            message = f"its import needs more than limits.memory ({limit}): {error.message}"
            raise errors.LoadError(error.reason, message) from error
        raise


def _functions(plugin: loading.LoadedPlugin) -> tuple[FunctionInfo, ...]:
    functions = tuple(
        FunctionInfo(found.name, found.summary, found.arguments_schema, found.result_schema)
        for found in plugin.functions
    )
    size = len(msgspec.msgpack.encode(functions))
    if size > SEGMENT_BYTES:
        raise errors.LoadError(
            "EntryPointInvalid",
            f"its functions take {size} bytes to describe, over {SEGMENT_BYTES}: give it fewer "
            "functions or simpler types",
        )
    return functions


class Server:
    """Answers the host's frames, in order.

    Args:
        channel: The socket to the host.
        plugin: What is served.
        result_bytes: Largest result.
        finish_output: Passes on what was printed without an end of line.

    """

    def __init__(
        self,
        channel: Channel,
        plugin: loading.LoadedPlugin | acts.Probe,
        result_bytes: int,
        finish_output: Callable[[], None],
    ) -> None:
        self._channel = channel
        self._plugin = plugin
        self._result_bytes = result_bytes
        self._finish_output = finish_output
        self._bindings: dict[int, loading.Binding | acts.Probe] = {}
        self._waiting: deque[tuple[ToWorker, bytes]] = deque()
        """What arrived while a segment was awaited, with its payload."""
        self._reserve: mmap.mmap | None = _reserved()
        self._shelf = WorkerShelf(channel, self._ask)
        if isinstance(plugin, loading.LoadedPlugin):
            plugin.shelf = self._shelf

    def run(self) -> None:
        """Serve until the host closes the socket."""
        while (frame := self._channel.receive()) is not None:
            self._take(frame, self._payload(frame))
            while self._waiting:
                self._take(*self._waiting.popleft())

    def _payload(self, frame: ToWorker) -> bytes:
        if type(frame) is not Call:
            return b""
        return segments.take_all(self._channel.descriptor()) if frame.segment else frame.body

    def _take(self, frame: ToWorker, body: bytes) -> None:
        if type(frame) is Call:
            self._answer(frame, body)
        elif isinstance(frame, Reclaim):
            self._reclaim(frame)
        elif isinstance(frame, Panicked):
            self._plugin.panicked(frame.message)

    def _answer(self, frame: Call, body: bytes) -> None:
        channel = self._channel
        channel.call = frame.call
        try:
            reply = self._call(frame, body)
        except MemoryError:
            self._reserve = None
            reply = self._out_of_memory(frame)
        if self._plugin.durable:
            reply = self._with_changes(frame, reply)
        self._finish_output()
        self._shelf.end_call()
        channel.call = 0
        channel.send(reply)
        if self._reserve is None:
            self._refill()

    def _refill(self) -> None:
        with contextlib.suppress(MemoryError):
            self._reserve = _reserved()

    def _out_of_memory(self, frame: Call) -> Failed:
        binding = self._bindings.get(frame.context)
        if binding is not None and binding.durable is not None:
            # Where that fails too this worker ends, and another begins from what the host holds.
            binding.durable.roll_back()
        return Failed(
            frame.call, "Raised", "MemoryError", _OUT_OF_MEMORY, bound=binding is not None
        )

    def _call(self, frame: Call, body: bytes) -> Result | Failed:
        bind_seconds = 0.0
        binding = self._bindings.get(frame.context)
        if binding is None:
            first = self._first(frame, body)
            if isinstance(first, Failed):
                return first
            binding, body, bind_seconds = first
        try:
            codec, result = binding.call(
                frame.function, frame.codec, body, frame.timeout_microseconds, frame.traceparent
            )
        except (errors.CallError, errors.CallTimeout) as error:
            return failed(frame.call, error, bind_seconds)
        size = len(result)
        if size > self._result_bytes:
            return self._too_large(frame.call, size, bind_seconds)
        reply = Result(frame.call, codec, result, bind_seconds)
        return reply if size < SEGMENT_BYTES or binding.durable is not None else self._moved(reply)

    def _first(
        self, frame: Call, body: bytes
    ) -> tuple[loading.Binding | acts.Probe, bytes, float] | Failed:
        """Make the binding of a call; return it, the call's arguments and the seconds it took."""
        started = time.perf_counter()
        state, body = _state(frame.bind, body)
        try:
            binding = self._bind(frame, state)
        except errors.StartError as error:
            kind = "Restore" if isinstance(error, errors.RestoreError) else "Start"
            return Failed(frame.call, kind, error.type, error.message, bound=False)
        return binding, body, time.perf_counter() - started

    def _too_large(self, call: int, size: int, bind_seconds: float) -> Failed:
        message = f"the result has {size} bytes; limits.resultBytes is {self._result_bytes}"
        return Failed(call, "Result", "ResultError", message, bind_seconds=bind_seconds)

    def _with_changes(self, frame: Call, reply: Result | Failed) -> Result | Failed:
        """Put what durable slots changed into the frame of an answer, or both into a segment."""
        binding = self._bindings.get(frame.context)
        if binding is not None and binding.durable is not None:
            n, changed = binding.durable.take()
            if changed:
                point = Checkpoint(frame.context, n, durable.encode(changed))
                reply = msgspec.structs.replace(reply, checkpoint=point)
        body = reply.body if isinstance(reply, Result) else b""
        state = reply.checkpoint.slots if reply.checkpoint is not None else b""
        fits = len(state) < STATE_BYTES and len(body) + len(state) < SEGMENT_BYTES
        return reply if fits else self._moved(reply)

    def _moved(self, reply: Result | Failed) -> Result | Failed:
        """Move result and durable slots of an answer into a segment."""
        body = reply.body if isinstance(reply, Result) else b""
        point = reply.checkpoint
        if point is not None:
            body += point.slots
            point = msgspec.structs.replace(point, slots=b"", size=len(point.slots))
        size = len(body)
        segments.fill(self._segment(reply.call, size), body)
        if isinstance(reply, Failed):
            return msgspec.structs.replace(reply, checkpoint=point)
        return msgspec.structs.replace(reply, body=b"", segment=True, size=size, checkpoint=point)

    def _bind(self, frame: Call, restored: durable.Restored | None) -> loading.Binding | acts.Probe:
        bind = frame.bind
        if bind is None:
            raise LookupError(f"the host named binding {frame.context}, which it never made")
        binding = self._plugin.bind(
            bind.context, bind.tenant, bind.generation, frame.timeout_microseconds, restored
        )
        self._bindings[frame.context] = binding
        return binding

    def _reclaim(self, frame: Reclaim) -> None:
        binding = self._bindings.pop(frame.context, None)
        reported, error = 0, ""
        if binding is not None:
            reported = binding.reclaim(frame.cause, frame.timeout_microseconds)
            error = binding.exit_error
        self._finish_output()
        self._channel.send(Reclaimed(frame.call, reported, error))

    def _segment(self, call: int, size: int) -> int:
        self._ask(SegmentWanted(call, size))
        return self._channel.descriptor()

    def _ask(self, frame: FromWorker) -> Segment | Shared:
        """Ask the host for something and wait for it; other frames keep their order."""
        self._channel.send(frame)
        while (answer := self._channel.receive()) is not None:
            if isinstance(answer, Segment | Shared):
                return answer
            self._waiting.append((answer, self._payload(answer)))
        raise ConnectionError("the host is gone")


def _reserved() -> mmap.mmap:
    """Return memory that counts but is never touched, so that no page of it is in use."""
    try:
        return mmap.mmap(-1, _RESERVE_BYTES, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    except OSError as error:
        raise MemoryError from error


def _state(bind: Bind | None, body: bytes) -> tuple[durable.Restored | None, bytes]:
    """Return what a binding begins with, and the arguments of its first call."""
    restored = None if bind is None else bind.restored
    if restored is None:
        return None, body
    state = restored.slots
    if restored.size:
        body, state = body[: -restored.size], body[-restored.size :]
    return durable.Restored(restored.digest, durable.decode(state)), body


def failed(call: int, error: errors.CallError | errors.CallTimeout, bind_seconds: float) -> Failed:
    """Return what the host is told of a call that did not return."""
    argument = ""
    if isinstance(error, errors.ArgumentsError):
        kind, name, message, argument = "Arguments", "ArgumentsError", error.message, error.argument
    elif isinstance(error, errors.PluginRaised):
        kind, name, message = "Raised", error.type, error.message
        if name == "MemoryError" and not message:
            message = _OUT_OF_MEMORY
    elif isinstance(error, errors.CallTimeout):
        kind, name, message = "Timeout", "CallTimeout", str(error)
    elif isinstance(error, errors.DurableError):
        kind, name, message = "Durable", "DurableError", str(error)
    else:
        kind, name, message = "Result", "ResultError", str(error)
    return Failed(
        call, kind, name, message[:_MESSAGE], argument[:_MESSAGE], bind_seconds=bind_seconds
    )


def _explain_late_extensions() -> None:
    """Make the serve phase's refusal of new code say what to do."""
    create = ExtensionFileLoader.create_module

    def create_module(self: ExtensionFileLoader, spec: ModuleSpec) -> ModuleType:
        try:
            return create(self, spec)
        except ImportError as error:
            raise ImportError(
                f"{spec.name} is an extension module, and code can be loaded only while the "
                "plugin is: import it at the top of the plugin's module"
            ) from error

    ExtensionFileLoader.create_module = create_module  # type: ignore[method-assign]
