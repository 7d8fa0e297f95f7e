"""What lanes work with, and whom they tell: all that they know of the host around them."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

import msgspec

from pluginsandbox.host.calls import Call, Errand
from pluginsandbox.host.contexts import Binding
from pluginsandbox.host.durable import Refusal
from pluginsandbox.host.frames import Checkpoint, Failed, Log, Result
from pluginsandbox.host.load import Level
from pluginsandbox.host.runtime import Runtime, WorkerExit
from pluginsandbox.host.timers import Wheel
from pluginsandbox.sdk.durable import Slots

if TYPE_CHECKING:
    from pluginsandbox.host.lane import Lane

Item = Call | Errand

NOT_STARTED = WorkerExit("Killed", "it was not started again")


class Keeper(Protocol):
    """Who owns the calls: told what became of them, and asked to place them anew."""

    def on_checkpoint(self, binding: Binding, point: Checkpoint, slots: Slots) -> Refusal:
        """A call changed durable slots; says why its worker must be ended, if it must."""

    def on_result(self, call: Call, started: float, now: float, frame: Result, body: bytes) -> None:
        """A call returned."""

    def on_failed(self, call: Call, started: float, now: float, frame: Failed) -> None:
        """A call raised, or could not begin."""

    def on_given_back(self, errand: Errand, now: float) -> None:
        """An errand is over: its binding is gone from the worker, or never was there."""

    def on_unbound(self, binding: Binding, failed: Failed) -> None:
        """The worker says that a binding is not there: `on_start` or `on_restore` failed."""

    def on_expired(self, call: Call, now: float) -> None:
        """A call waited too long; it has not run."""

    def on_unplaced(self, call: Call) -> None:
        """The binding that a waiting call was meant for is gone; the call has not run."""

    def on_lost(self, lane: Lane, end: WorkerExit, sent: deque[Item], waiting: deque[Item]) -> None:
        """The worker is gone, with what was in it and what waited for it."""

    def on_ready(self, lane: Lane) -> None:
        """The worker serves."""

    def on_log(self, lane: Lane, item: Item | None, frame: Log) -> None:
        """The plugin said something, if that is known during `item`."""

    def on_denied(self, lane: Lane, call: str) -> None:
        """The worker was refused a system call, whose name this is."""


class Services(msgspec.Struct, frozen=True):
    """What every lane of a host works with."""

    runtime: Runtime
    keeper: Keeper
    wheel: Wheel
    clock: Callable[[], float]
    """Seconds."""
    queued: Level
    """Counts the calls that wait anywhere in the host."""
    queue_seconds: float
    """How long a call may wait."""
