"""Runs async functions to their end, one at a time, on one event loop of the worker.

Imported only for a plugin that has async functions: asyncio costs more to import than all the rest.
The loop is made at load, while files may still be opened.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
from collections.abc import Callable, Coroutine
from typing import Any

from pluginsandbox.sdk.errors import CallTimeout


class Loop:
    """One event loop for all async calls of a worker."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()

    @property
    def events(self) -> asyncio.AbstractEventLoop:
        """The loop itself."""
        return self._loop

    def run(
        self,
        context: contextvars.Context,
        method: Callable[..., Coroutine[Any, Any, Any]],
        instance: object,
        /,
        **arguments: Any,
    ) -> Any:
        """Run an async method in `context`; what it leaves running is cancelled."""
        if self._loop.is_closed() or self._loop.is_running():
            self._replace()
        coroutine = context.run(method, instance, **arguments)
        try:
            task = self._loop.create_task(coroutine, context=context)
            try:
                return self._loop.run_until_complete(task)
            finally:
                self._cancel_rest()
        except CallTimeout:
            # It may have struck inside the loop's own code: do not trust that loop again.
            self._replace()
            raise

    def close(self) -> None:
        """Close the loop."""
        self._loop.close()

    def _cancel_rest(self) -> None:
        left = asyncio.all_tasks(self._loop)
        if not left or self._loop.is_running():
            return
        for task in left:
            task.cancel()
        self._loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))

    def _replace(self) -> None:
        asyncio._set_running_loop(None)  # noqa: SLF001  # the documented way back does not exist
        with contextlib.suppress(RuntimeError):
            self._loop.close()
        self._loop = asyncio.new_event_loop()
