"""What every kind of plugin must offer the host: one interface, one writer.

The call path knows only these types; `python_runtime` is the first strategy behind them, and
WebAssembly and native code get theirs beside it. Calls into a `Worker` and its events all happen
on the host's event loop; nothing here blocks it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import msgspec

from pluginsandbox.api.host_config import PluginConfig
from pluginsandbox.host.frames import (
    Bind,
    Checkpoint,
    Failed,
    FunctionInfo,
    Log,
    Reclaimed,
    Result,
)
from pluginsandbox.sdk.durable import Slots


class Prepared(msgspec.Struct, frozen=True):
    """A plugin whose artefact was verified and that loaded once in a bounded, confined child."""

    index: int
    config: PluginConfig
    key: str
    """`gls_` + 16 hex digits, see `sdk.keys`."""
    functions: tuple[FunctionInfo, ...]
    stage_seconds: dict[str, float]
    """Seconds of the stages fetch, verify, load and start."""


class PrepareError(Exception):
    """A plugin cannot be loaded until somebody edits it.

    Args:
        reason: DigestMismatch | ImportFailed | EntryPointInvalid | ConfinementImpossible |
            KeyClash.
        message: For a person; names what to do.

    """

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class WorkerExit(msgspec.Struct, frozen=True):
    """How a worker ended."""

    cause: str
    """Killed (by us) | Signal | Exit | Denied (SIGSYS) | Memory | Protocol (it broke the frame)."""
    detail: str
    """For a person, for example `signal SIGSEGV`."""
    peak_bytes: int = 0
    """Most that it ever had resident, without what it began with; 0 if nobody knows."""


class WorkerEvents(Protocol):
    """What a worker tells its owner; every method returns at once and never raises."""

    def on_ready(self, worker: Worker) -> None:
        """The plugin is imported and the worker serves; at most once, before any answer."""

    def on_checkpoint(self, worker: Worker, call: int, point: Checkpoint, slots: Slots) -> None:
        """A call changed durable slots; its on_result or on_failed follows at once."""

    def on_result(self, worker: Worker, result: Result, body: bytes) -> None:
        """A call returned; `body` is the payload, wherever it travelled."""

    def on_failed(self, worker: Worker, failed: Failed) -> None:
        """A call raised, timed out softly or had bad arguments."""

    def on_reclaimed(self, worker: Worker, reclaimed: Reclaimed) -> None:
        """A binding is gone from the worker."""

    def on_log(self, worker: Worker, log: Log) -> None:
        """The plugin printed or logged."""

    def on_denied(self, worker: Worker, call: str) -> None:
        """The worker was refused a system call, whose name this is."""

    def on_exit(self, worker: Worker, end: WorkerExit) -> None:
        """The worker is gone and reaped; the last event of a worker."""


class Worker(Protocol):
    """One confined child with one plugin in it."""

    @property
    def id(self) -> int:
        """Unique in the life of the host."""

    @property
    def plugin(self) -> Prepared:
        """What it serves."""

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
        """Start a call; with `bind`, make the binding first. Answered by on_result or on_failed."""

    def reclaim(self, *, call: int, context: int, cause: str, timeout_microseconds: int) -> None:
        """Give a binding back; answered by on_reclaimed."""

    def measured_bytes(self) -> int:
        """Proportional set size of the process in bytes, as the kernel says; 0 if it is gone."""

    def kill(self) -> None:
        """End it now; on_exit follows. Repeating is harmless."""


class Runtime(Protocol):
    """A kind of plugin."""

    async def prepare(self, index: int, plugin: PluginConfig) -> Prepared:
        """Verify the artefact and load it once.

        Raises:
            PrepareError: It can never work as it stands.

        """

    def spawn(self, plugin: Prepared, events: WorkerEvents, *, panicked: str = "") -> Worker:
        """Start a worker; `panicked` tells it how the one before died."""

    async def close(self) -> None:
        """Kill and reap all that is left."""


class Act(msgspec.Struct, frozen=True):
    """One forbidden act, tried by a probe worker."""

    name: str
    held: bool
    detail: str


class Confinement(msgspec.Struct, frozen=True):
    """What the wall is made of on this kernel, proven at start."""

    landlock_abi: int
    acts: Sequence[Act]

    @property
    def holds(self) -> bool:
        """Whether every forbidden act was stopped."""
        return self.landlock_abi >= 1 and all(act.held for act in self.acts)
