"""Several async calls of one worker at the same time, each by a clock of its own.

Used with `limits.concurrency` above 1 alone; every other worker runs one call after another. Only
async functions can overlap, so a plugin that asks for it has no others. Durable slots are not for
it: what one call stores with its answer would hold half of what another has done so far.
"""

from __future__ import annotations

import asyncio
import time
import weakref
from collections.abc import Callable, Coroutine, Generator
from typing import Any

from pluginsandbox.sdk.binding import Binding, LoadedPlugin
from pluginsandbox.sdk.deadline import MICROSECONDS, REPEAT_SECONDS
from pluginsandbox.sdk.errors import CallTimeout, LoadError, PluginRaised


def check(plugin: LoadedPlugin) -> None:
    """See whether a plugin's calls may overlap.

    Raises:
        LoadError: EntryPointInvalid: it has a function that is not async, or a durable slot.

    """
    plain = next((method.name for method in plugin.methods if not method.is_async), "")
    if plain:
        raise _unfit(f"function {plain} is not async, and only async functions can overlap")
    if plugin.durable:
        name = plugin.durable[0].slot.attribute
        raise _unfit(f"slot {name!r} is durable, which would store calls half done")


def _unfit(why: str) -> LoadError:
    return LoadError(
        "EntryPointInvalid", f"limits.concurrency is above 1, but {why}: set it to 1, or change it"
    )


class Steps(Generator[Any, Any, Any]):
    """Awaits a coroutine, with each step of it inside the binding and before the deadline.

    Args:
        coroutine: The plugin's.
        binding: Whose variables it sees.
        until: When it must have ended, in seconds of `time.monotonic`.
        enter: Called before each step.
        leave: Called after it.

    """

    def __init__(
        self,
        coroutine: Coroutine[Any, Any, Any],
        binding: Binding,
        until: float,
        enter: Callable[[], None],
        leave: Callable[[], None],
    ) -> None:
        self._coroutine = coroutine
        self._binding = binding
        self._until = until
        self._enter = enter
        self._leave = leave
        self.over = False
        """Its time has passed while it waited: a cancellation is the time-out."""

    def __await__(self) -> Steps:
        return self

    def send(self, value: Any) -> Any:
        """Go on."""
        return self._step(self._coroutine.send, value)

    def throw(self, error: Any, *_: Any) -> Any:
        """Go on with an exception."""
        if self.over and isinstance(error, asyncio.CancelledError):
            error = CallTimeout("the call took too long")
        return self._step(self._coroutine.throw, error)

    def close(self) -> None:
        """End it."""
        self._coroutine.close()

    def _step(self, advance: Callable[[Any], Any], value: Any) -> Any:
        binding = self._binding
        left = max(1, int((self._until - time.monotonic()) / MICROSECONDS))
        self._enter()
        try:
            return binding.plugin.deadline.run(left, binding.variables.run, advance, value)
        finally:
            self._leave()


class Expiry:
    """Ends a call that waits past its deadline: again and again, as it may hold out.

    Args:
        steps: The call.
        task: Where it is awaited.
        until: Its deadline, in seconds of `time.monotonic`.

    """

    def __init__(self, steps: Steps, task: asyncio.Task[Any], until: float) -> None:
        self._steps = steps
        self._task = task
        self._loop = task.get_loop()
        # The event loop's clock is time.monotonic as well.
        self._timer = self._loop.call_at(until, self._ring)

    def stop(self) -> None:
        """Let it be: it has ended."""
        self._timer.cancel()
        while self._task.cancelling():
            self._task.uncancel()

    def _ring(self) -> None:
        self._steps.over = True
        self._timer = self._loop.call_later(REPEAT_SECONDS, self._ring)
        self._task.cancel()


class Overlap:
    """Runs the calls of one plugin on one event loop.

    Args:
        loop: Which; not running yet.

    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._families: weakref.WeakKeyDictionary[asyncio.Task[Any], set[asyncio.Task[Any]]]
        self._families = weakref.WeakKeyDictionary()
        """Of each task of a call: all that the call has started."""
        loop.set_task_factory(self._made)  # type: ignore[arg-type]  # options differ by version

    async def call(
        self,
        binding: Binding,
        function_index: int,
        codec: int,
        body: bytes,
        timeout_microseconds: int,
        enter: Callable[[], None],
        leave: Callable[[], None],
    ) -> tuple[int, bytes]:
        """Call one function; arguments, result and errors as of `Binding.call`.

        Args:
            binding: In which.
            function_index: Index in `LoadedPlugin.functions`.
            codec: `functions.Codec` of `body`; the result comes in the same.
            body: Arguments object; empty = no arguments.
            timeout_microseconds: Time for the plugin's code, that in which it waits included.
            enter: Called before each of its steps, and when it has ended: others ran in between.
            leave: Called after each of its steps.

        """
        function = binding.plugin.methods[function_index]
        arguments = function.arguments(codec, body)
        until = time.monotonic() + timeout_microseconds * MICROSECONDS
        whole = self._whole(function.method(binding.instance, **arguments))
        try:
            value = await _timed(Steps(whole, binding, until, enter, leave), until)
        except BaseException as error:
            enter()
            binding.tell_panic(error)
            if isinstance(error, CallTimeout):
                raise
            raise PluginRaised(*binding.plugin.describe(error)) from error
        enter()
        return codec, function.result(codec, value)

    async def _whole(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        """Await what a call does, and end what it leaves running."""
        task, family = asyncio.current_task(), set[asyncio.Task[Any]]()
        if task is not None:
            self._families[task] = family
        try:
            return await coroutine
        finally:
            for child in family:
                child.cancel()
            if family:
                await asyncio.gather(*family, return_exceptions=True)

    def _made(
        self, loop: asyncio.AbstractEventLoop, coroutine: Coroutine[Any, Any, Any], **options: Any
    ) -> asyncio.Task[Any]:
        task = asyncio.Task(coroutine, loop=loop, **options)
        parent = asyncio.current_task(loop)
        family = self._families.get(parent) if parent is not None else None
        if family is not None:
            self._families[task] = family
            family.add(task)
            task.add_done_callback(family.discard)
        return task


async def _timed(steps: Steps, until: float) -> Any:
    task = asyncio.current_task()
    if task is None:
        raise RuntimeError("a call is awaited in a task")
    expiry = Expiry(steps, task, until)
    try:
        return await steps
    finally:
        expiry.stop()
