"""Releases contexts whose handles were collected, in a thread of its own.

The garbage collector may run anywhere, in any thread, with any lock held: what it calls here puts a
word into a `SimpleQueue`, which is made for that, and does no more.
"""

from __future__ import annotations

import contextlib
import queue
import sys
import threading
import urllib.parse
import warnings
import weakref
from collections import Counter
from typing import NamedTuple

from pluginsandbox.sdk.client_errors import SandboxError
from pluginsandbox.sdk.transport import Transport

# How long a process that ends waits for what it leaked to be released.
_END_SECONDS = 2.0


class Place(NamedTuple):
    """A line of source."""

    file: str
    line: int


class _Word(NamedTuple):
    """What the thread is told: a handle came, or went; no context: the client is gone."""

    context: str | None
    handles: int = 0
    leaked_at: Place | None = None


class Releaser:
    """What the handles of one client share.

    Args:
        transport: How to reach the sandbox; closed at the end.

    """

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._words: queue.SimpleQueue[_Word] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def opened(self, context: str) -> None:
        """Count a handle."""
        with self._lock:
            if self._thread is None:
                _living.add(self)
                self._thread = threading.Thread(
                    target=self._run, name="pluginsandbox-releaser", daemon=True
                )
                self._thread.start()
        self._words.put(_Word(context, 1))

    def closed(self, context: str) -> None:
        """Count a handle that was closed."""
        self._words.put(_Word(context, -1))

    def leaked(self, context: str, place: Place) -> None:
        """Release the context of a handle that was collected; never blocks, never raises."""
        self._words.put(_Word(context, -1, place))

    def end(self) -> None:
        """End once no handle is left; never blocks, never raises."""
        if self._thread is None:
            self._transport.close()
        else:
            self._words.put(_Word(None))

    def wait(self) -> None:
        """Wait a little for the end."""
        if self._thread is not None:
            self._thread.join(_END_SECONDS)

    def _run(self) -> None:
        handles, ending = Counter[str](), False
        while handles or not ending:
            context, change, leaked_at = self._words.get()
            if context is None:
                ending = True
                continue
            handles[context] += change
            if not handles[context]:
                del handles[context]
            if leaked_at is not None:
                _warn(context, leaked_at)
                # Another handle of the same context is still in use.
                if context not in handles:
                    self._release(context)
        self._transport.close()

    def _release(self, context: str) -> None:
        path = f"/v1/contexts/{urllib.parse.quote(context, safe='')}?cause=Finalized"
        # The sandbox's own idle time ends what cannot be released now.
        with contextlib.suppress(SandboxError):
            self._transport.send("DELETE", path)


def _warn(context: str, place: Place) -> None:
    message = f"context {context} was opened here and never closed"
    try:
        warnings.warn_explicit(message, ResourceWarning, place.file, place.line)
    except ResourceWarning as error:  # this process takes warnings for errors
        thread = threading.current_thread()
        threading.excepthook(
            threading.ExceptHookArgs((type(error), error, error.__traceback__, thread))
        )


_living: weakref.WeakSet[Releaser] = weakref.WeakSet()


def _wait_for_all() -> None:
    for releaser in tuple(_living):
        releaser.wait()


# Finalizers run newest first when a process ends: after those of all handles and clients, this one.
weakref.finalize(sys.modules[__name__], _wait_for_all)
