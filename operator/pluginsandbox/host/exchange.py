"""One worker's dealings with the shelf: what it says is checked, what it sends is copied."""

from __future__ import annotations

import os
from collections import defaultdict
from typing import NamedTuple

import msgspec

from pluginsandbox.host import segments
from pluginsandbox.host.frames import Borrow, Filled, Publish, Segment, Shared
from pluginsandbox.host.incoming import ProtocolError
from pluginsandbox.host.outbox import Outbox
from pluginsandbox.host.shelf import Shelf, Version

# More than all calls that a worker is sent ahead; one of ours waits for each answer.
UNHEARD = 64

_encode = msgspec.msgpack.Encoder().encode


class _Filling(NamedTuple):
    """What a worker is about to publish."""

    call: int
    name: str
    size: int
    descriptor: int


class Exchange:
    """What a worker publishes and borrows, call by call.

    Args:
        plugin: Which plugin it runs.
        shelf: Of the whole sandbox.
        outbox: To the worker.

    """

    def __init__(self, plugin: str, shelf: Shelf, outbox: Outbox) -> None:
        self._plugin = plugin
        self._shelf = shelf
        self._outbox = outbox
        self._filling: _Filling | None = None
        self._borrowed: defaultdict[int, list[Version]] = defaultdict(list)

    @property
    def busy(self) -> bool:
        """Whether a call has something of it that is to be given back at its end."""
        return self._filling is not None or bool(self._borrowed)

    def hear(self, frame: Publish | Filled | Borrow) -> None:
        """Do what a worker asks in a call that is open.

        Raises:
            ProtocolError: No worker of ours would ask it.

        """
        if self._outbox.waiting > UNHEARD:
            raise ProtocolError("it asks and asks, and does not listen")
        if isinstance(frame, Borrow):
            self._borrow(frame)
        elif isinstance(frame, Publish):
            self._publish(frame)
        else:
            self._filled(frame)

    def end(self, call: int) -> None:
        """Take back what a call had that is over."""
        for version in self._borrowed.pop(call, ()):
            self._shelf.give_back(version)
        filling = self._filling
        if filling is not None and filling.call == call:
            self._filling = None
            segments.give_back(filling.descriptor)

    def close(self) -> None:
        """Take everything back: the worker is gone."""
        for call in tuple(self._borrowed):
            self.end(call)
        if self._filling is not None:
            self.end(self._filling.call)

    def _publish(self, frame: Publish) -> None:
        if self._filling is not None:
            raise ProtocolError(
                "it published something before it had filled what it published last"
            )
        refused = self._shelf.refusal(self._plugin, frame.name, frame.size)
        if not refused and not frame.size:
            self._shelf.put(self._plugin, frame.name, b"")
        if refused or not frame.size:
            self._tell(frame.call, refused)
            return
        try:
            descriptor = segments.empty(frame.size)
        except OSError as error:
            self._tell(frame.call, _no_room(error))
            return
        self._filling = _Filling(frame.call, frame.name, frame.size, descriptor)
        self._lend(Segment(frame.call, frame.size), descriptor)

    def _filled(self, frame: Filled) -> None:
        filling, self._filling = self._filling, None
        if filling is None or filling.call != frame.call:
            raise ProtocolError("it filled what it had not published")
        data = segments.take(filling.descriptor, filling.size)
        # Asked again: meanwhile another worker of the plugin may have published.
        refused = self._shelf.refusal(self._plugin, filling.name, filling.size)
        if not refused:
            try:
                self._shelf.put(self._plugin, filling.name, data)
            except OSError as error:
                refused = _no_room(error)
        self._tell(frame.call, refused)

    def _borrow(self, frame: Borrow) -> None:
        version = self._shelf.find(frame.plugin, frame.name)
        if version is None:
            self._tell(frame.call)
            return
        if version not in self._borrowed[frame.call]:
            self._borrowed[frame.call].append(version)
            version.borrowed += 1
        self._lend(Shared(frame.call, version.size), version.descriptor)

    def _lend(self, frame: Segment | Shared, descriptor: int) -> None:
        """Send a frame and a memfd; ours stays open."""
        try:
            copy = os.dup(descriptor)
        except OSError as error:
            self._tell(frame.call, _no_room(error))
            self.end(frame.call)
        else:
            self._outbox.send(_encode(frame), copy)

    def _tell(self, call: int, refused: str = "") -> None:
        self._outbox.send(_encode(Shared(call, 0, refused)))


def _no_room(error: OSError) -> str:
    return f"the host has no room left: {error.strerror}"
