"""Memory that one worker is lent, call by call: for payloads that no frame holds, and to publish.

The host makes all of it, and empties it when the call is over, whoever still holds on to it.
"""

from __future__ import annotations

import os

import msgspec

from pluginsandbox.api.host_config import PluginConfig
from pluginsandbox.host import segments
from pluginsandbox.host.exchange import Exchange
from pluginsandbox.host.frames import (
    SEGMENT_BYTES,
    STATE_BYTES,
    Bind,
    Call,
    Checkpoint,
    Restored,
    Result,
    Segment,
    SegmentWanted,
)
from pluginsandbox.host.incoming import ProtocolError
from pluginsandbox.host.outbox import Outbox
from pluginsandbox.host.shelf import Shelf
from pluginsandbox.sdk.durable import MAX_SLOTS

# What MessagePack adds to a map of so many names and values.
_SLOTS_HEADER_BYTES = 5 + 10 * MAX_SLOTS

_encode = msgspec.msgpack.Encoder().encode


class Lent:
    """What the calls that are open in a worker have of the host's memory.

    Args:
        plugin: Which plugin it runs; its limits bound what an answer may need.
        shelf: Of the whole sandbox.
        outbox: To the worker.

    """

    def __init__(self, plugin: PluginConfig, shelf: Shelf, outbox: Outbox) -> None:
        limits = plugin.limits
        self._largest = limits.result_bytes + limits.durable_bytes + _SLOTS_HEADER_BYTES
        self._outbox = outbox
        self.arguments: dict[int, int] = {}
        """Call to the memfd with its arguments."""
        self.results: dict[int, tuple[int, int]] = {}
        """Call to the memfd that it was given for its result, and its size."""
        self.exchange = Exchange(plugin.name, shelf, outbox)
        """What they publish and borrow."""

    def lend(self, frame: Call, body: bytes) -> None:
        """Send a call whose arguments, and perhaps durable slots, travel in a memfd.

        Raises:
            OSError: No memory or no descriptor is left.

        """
        descriptor = segments.holding(body)
        self.arguments[frame.call] = descriptor
        self._send(_encode(frame), descriptor)

    def give(self, frame: SegmentWanted) -> None:
        """Send the memfd that a call asked for.

        Raises:
            OSError: No memory or no descriptor is left.
            ProtocolError: It is larger than any answer.

        """
        if frame.size > self._largest:
            raise ProtocolError("it asked for a segment over limits.resultBytes and durableBytes")
        descriptor = segments.empty(frame.size)
        self.results[frame.call] = (descriptor, frame.size)
        self._send(_encode(Segment(frame.call, frame.size)), descriptor)

    def take(self, frame: Result) -> bytes:
        """Return what a call that returned put into its memfd.

        Raises:
            ProtocolError: It has none, or one of another size.

        """
        descriptor, size = self.results.get(frame.call, (-1, -1))
        if frame.size != size:
            raise ProtocolError("it named a segment that it was not given")
        del self.results[frame.call]
        return segments.take(descriptor, size)

    def take_any(self, call: int) -> bytes:
        """Return what a call that failed put into its memfd; nothing if it has none."""
        descriptor, size = self.results.pop(call, (-1, 0))
        return segments.take(descriptor, size) if descriptor >= 0 else b""

    def give_back(self, call: int) -> None:
        """Free the memory of a call that is over, though the worker may hold on to it."""
        self.exchange.end(call)
        result, _ = self.results.pop(call, (-1, -1))
        for descriptor in (result, self.arguments.pop(call, -1)):
            if descriptor >= 0:
                segments.give_back(descriptor)

    def close(self) -> None:
        """Free everything: the worker is gone."""
        for call in (*self.results, *self.arguments):
            self.give_back(call)
        self.exchange.close()

    def _send(self, frame: bytes, descriptor: int) -> None:
        """Send a frame and the memfd that it speaks of; ours stays open, to be given back."""
        self._outbox.send(frame, os.dup(descriptor))


def together(body: bytes, bind: Bind, restored: Restored) -> tuple[bytes, Bind, bool]:
    """Put durable slots behind the arguments if one frame does not hold both.

    Returns:
        The arguments, the binding, and whether they travel in a memfd.

    """
    state = restored.slots
    if len(state) < STATE_BYTES and len(body) + len(state) < SEGMENT_BYTES:
        return body, bind, False
    moved = Restored(restored.digest, b"", len(state))
    return body + state, msgspec.structs.replace(bind, restored=moved), True


def apart(body: bytes, point: Checkpoint) -> tuple[bytes, bytes]:
    """Return payload and durable slots of an answer, wherever they travelled."""
    if not point.size:
        return body, point.slots
    if point.size > len(body):
        raise ProtocolError("it named more durable slots than it sent")
    return body[: -point.size], body[-point.size :]
