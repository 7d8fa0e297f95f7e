"""A worker's end of publishing: what a plugin calls as `publish` and `published`, within a call.

The host is asked and answers while the plugin's call runs, so the timer of that call must not
interrupt here: an answer that nobody reads would be taken for the next frame.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import signal
from collections.abc import Callable, Iterator

from pluginsandbox.host import segments
from pluginsandbox.host.channel import Channel
from pluginsandbox.host.frames import Borrow, Filled, FromWorker, Publish, Segment, Shared
from pluginsandbox.sdk.sharing import Data, SharingError


class WorkerShelf:
    """See `sdk.sharing.Shelf`.

    Args:
        channel: The socket to the host.
        ask: Sends a frame and returns the host's answer.

    """

    def __init__(self, channel: Channel, ask: Callable[[FromWorker], Segment | Shared]) -> None:
        self._channel = channel
        self._ask = ask
        self._views: dict[tuple[str, str], tuple[mmap.mmap, memoryview]] = {}
        """What the running call has borrowed."""

    def publish(self, name: str, data: Data) -> None:
        """Have the host copy some bytes, and seal them.

        Raises:
            SharingError: It refuses, or no call is running.

        """
        with memoryview(data) as given, given.cast("B") as view, self._exchange() as call:
            answer = self._ask(Publish(call, name, len(view)))
            if isinstance(answer, Segment):
                segments.fill(self._channel.descriptor(), view)
                answer = self._ask(Filled(call))
        _check(answer)

    def published(self, plugin: str, name: str) -> memoryview | None:
        """Map what a plugin published; the same throughout a call.

        Raises:
            SharingError: No call is running.

        """
        found = self._views.get((plugin, name))
        if found is not None:
            return found[1]
        with self._exchange() as call:
            answer = self._ask(Borrow(call, plugin, name))
            _check(answer)
            if not answer.size:
                return None
            descriptor = self._channel.descriptor()
        try:
            mapped = mmap.mmap(descriptor, answer.size, access=mmap.ACCESS_READ)
        finally:
            os.close(descriptor)
        view = memoryview(mapped)
        self._views[plugin, name] = mapped, view
        return view

    def end_call(self) -> None:
        """Release what the call had borrowed: the host may take it away from now on."""
        for mapped, view in self._views.values():
            # A slice, or what else the plugin made of it, may live on.
            with contextlib.suppress(BufferError):
                view.release()
                mapped.close()
        self._views.clear()

    @contextlib.contextmanager
    def _exchange(self) -> Iterator[int]:
        if not self._channel.call:
            raise SharingError("the host can be asked only while a call is running")
        try:
            signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGALRM,))
            yield self._channel.call
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGALRM,))


def _check(answer: Segment | Shared) -> None:
    if isinstance(answer, Shared) and answer.refused:
        raise SharingError(answer.refused)
