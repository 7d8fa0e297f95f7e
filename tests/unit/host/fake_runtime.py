"""A runtime in the test's own process: workers that do what they are told, when they are told.

It holds the host to its side of the contract: a call names a binding that is there or carries one
that is not, an errand names one that is there, and frames go only to a worker that is ready.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

import msgspec

from pluginsandbox.api.host_config import HostConfig, Isolation, PluginConfig, PluginLimits
from pluginsandbox.host.assembly import Host
from pluginsandbox.host.calls import Call
from pluginsandbox.host.contexts import Cause
from pluginsandbox.host.frames import (
    Bind,
    Checkpoint,
    Codec,
    Failed,
    FunctionInfo,
    Log,
    Reclaimed,
    Result,
)
from pluginsandbox.host.plugins import Plugin
from pluginsandbox.host.problem import Problem
from pluginsandbox.host.runtime import Prepared, Worker, WorkerEvents, WorkerExit
from pluginsandbox.sdk.durable import decode
from pluginsandbox.telemetry import exposition


class Clock:
    """Seconds that pass when the test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Frame:
    """What the host sent: a call, or an errand (`cause` set)."""

    call: int
    context: int
    body: bytes = b""
    bind: Bind | None = None
    cause: str = ""
    timeout_microseconds: int = 0


@dataclass
class FakeWorker:
    """A worker whose every step the test decides."""

    id: int
    plugin: Prepared
    events: WorkerEvents
    panicked: str
    inbox: deque[Frame] = field(default_factory=deque)
    bound: dict[int, Bind] = field(default_factory=dict)
    counts: dict[int, int] = field(default_factory=dict)
    """The durable slot of each binding; only of a plugin whose name begins with `durable`."""
    points: dict[int, int] = field(default_factory=dict)
    serving: bool = False
    gone: bool = False
    killed: bool = False

    # --- what the host does -------------------------------------------------------------------

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
        assert self.serving
        assert not self.killed
        del function, codec, traceparent
        self.inbox.append(Frame(call, context, body, bind, "", timeout_microseconds))

    def reclaim(self, *, call: int, context: int, cause: str, timeout_microseconds: int) -> None:
        assert self.serving
        assert not self.killed
        self.inbox.append(Frame(call, context, b"", None, cause, timeout_microseconds))

    def measured_bytes(self) -> int:
        return 0 if self.gone else 5 << 20

    def kill(self) -> None:
        self.killed = True

    # --- what the test does -------------------------------------------------------------------

    def ready(self) -> None:
        self.serving = True
        self.events.on_ready(self)

    def step(self, index: int = 0) -> None:
        """Do the next thing in the inbox, or a later one: what the body says, or echo it."""
        frame = self.inbox[index]
        del self.inbox[index]
        if frame.cause:
            assert frame.context in self.bound, "an errand for a binding that is not there"
            del self.bound[frame.context]
            self.events.on_reclaimed(self, Reclaimed(frame.call, 1000))
            return
        if frame.bind is None:
            assert frame.context in self.bound, "a call for a binding that is not there"
        else:
            assert frame.context not in self.bound, "a binding is made twice"
            if frame.body == b"start":
                failed = Failed(frame.call, "Start", "ValueError", "no", bound=False)
                self.events.on_failed(self, failed)
                return
            if frame.body == b"refuse" and frame.bind.restored is not None:
                failed = Failed(frame.call, "Restore", "ValueError", "too old", bound=False)
                self.events.on_failed(self, failed)
                return
            self.bound[frame.context] = frame.bind
            self._begin(frame.context, frame.bind)
        if self.plugin.config.name.startswith("durable") and not self._change(frame):
            return
        if frame.body == b"raise":
            self.events.on_failed(self, Failed(frame.call, "Raised", "ValueError", "bad"))
        elif frame.body == b"arguments":
            failed = Failed(frame.call, "Arguments", "", "must be int", argument="$.quantity")
            self.events.on_failed(self, failed)
        elif frame.body == b"slow":
            self.events.on_failed(self, Failed(frame.call, "Timeout", "", "over"))
        else:
            body = frame.body
            if body == b"count":
                body = b"%d" % self.counts[frame.context]
            self.events.on_result(self, Result(frame.call, Codec.JSON, body, 1e-5), body)

    def _begin(self, context: int, bind: Bind) -> None:
        self.points[context] = self.counts[context] = 0
        if bind.restored is not None:
            stored = decode(bind.restored.slots)
            self.counts[context] = int(stored["count"] or b"0")

    def _change(self, frame: Frame) -> bool:
        """Count where the body says so, and tell the host; False if it ended the worker for it."""
        context, body = frame.context, frame.body
        if body in {b"count", b"raise"}:
            self.counts[context] += 1
        elif self.points[context] and body not in {b"lie", b"fat"}:
            return True
        self.points[context] += 2 if body == b"lie" else 1
        value = b"9" * 100_000 if body == b"fat" else b"%d" % self.counts[context]
        point = Checkpoint(context, self.points[context], b"")
        self.events.on_checkpoint(self, frame.call, point, {"count": value})
        return not self.killed

    def run(self) -> None:
        while self.inbox and not self.gone:
            self.step()
            if self.killed:
                self.die()

    def alive(self) -> bool:
        return not self.killed

    def say(self, message: str) -> None:
        self.events.on_log(self, Log("info", message, self.inbox[0].call if self.inbox else 0))

    def die(self, cause: str = "Signal", detail: str = "signal SIGSEGV") -> None:
        assert not self.gone
        self.gone = True
        if self.killed:
            cause, detail = "Killed", "ended by the host"
        self.events.on_exit(self, WorkerExit(cause, detail, 0 if self.killed else 7 << 20))


class FakeRuntime:
    """Makes fake workers and remembers them."""

    def __init__(self) -> None:
        self.workers: list[FakeWorker] = []

    async def prepare(self, index: int, plugin: PluginConfig) -> Prepared:
        return prepared(index, plugin)

    def spawn(self, plugin: Prepared, events: WorkerEvents, *, panicked: str = "") -> Worker:
        worker = FakeWorker(len(self.workers), plugin, events, panicked)
        self.workers.append(worker)
        return worker

    async def close(self) -> None:
        pass

    @property
    def living(self) -> list[FakeWorker]:
        return [worker for worker in self.workers if not worker.gone]

    def run(self) -> None:
        """Let every worker start, and do all there is to do."""
        busy = True
        while busy:
            busy = False
            for worker in self.living:
                if worker.killed:
                    worker.die()
                elif not worker.serving:
                    worker.ready()
                elif worker.inbox:
                    worker.run()
                else:
                    continue
                busy = True


def prepared(index: int, plugin: PluginConfig) -> Prepared:
    functions = (FunctionInfo("echo", "", b"{}", b"{}"),)
    return Prepared(index, plugin, f"gls_{index:016}", functions, {"load": 0.001})


@dataclass(eq=False)
class Answer:
    """What a call came to."""

    result: bytes | None = None
    problem: Problem | None = None
    count: int = 0


class FakeCall(Call):
    """A call that remembers its answer."""

    __slots__ = ("answer",)
    answer: Answer

    def on_result(self, codec: int, body: bytes) -> None:
        assert codec == Codec.JSON
        self.answer.count += 1
        self.answer.result = body

    def on_problem(self, problem: Problem) -> None:
        self.answer.count += 1
        self.answer.problem = problem


class Bench:
    """A host on fake workers and a fake clock."""

    def __init__(self, config: HostConfig) -> None:
        self.clock = Clock()
        self.runtime = FakeRuntime()
        self.host = Host(config, self.runtime, self.clock, first_generation=100)
        for index, plugin in enumerate(config.plugins):
            self.host.open_plugin(prepared(index, plugin))
        self.calls: list[FakeCall] = []

    def plugin(self, name: str = "echo") -> Plugin:
        return self.host.plugins[name]

    def call(
        self,
        body: bytes = b"1",
        context: str | None = "a",
        plugin: str = "echo",
        *,
        existing: int | None = None,
        seconds: float | None = None,
        traceparent: str = "",
    ) -> FakeCall:
        now = self.clock.now
        deadline = None if seconds is None else now + seconds
        target = self.plugin(plugin)
        call = FakeCall("", context, target, 0, Codec.JSON, body, now, deadline)
        call.answer = Answer()
        call.existing = existing
        call.traceparent = traceparent
        self.calls.append(call)
        self.host.invoker.invoke(call)
        return call

    def run(self) -> None:
        self.runtime.run()

    def advance(self, seconds: float) -> None:
        """Let time pass in steps, as an event loop would see it."""
        end = self.clock.now + seconds
        while (due := self.host.wheel.next_due()) is not None and due <= end:
            self.clock.now = max(self.clock.now, due)
            self.host.wheel.expire(self.clock.now)
        self.clock.now = end
        self.host.wheel.expire(end)

    def end(self, context: str, cause: Cause = "Released") -> None:
        found = self.host.table.get("", context)
        assert found is not None
        self.host.reclaimer.end(found, cause)

    def reclaims(self, plugin: str = "echo") -> dict[str, int]:
        """Count of reclaimed bindings by cause."""
        return {
            sample.labels["cause"]: int(sample.value)
            for metric in exposition.registry(self.host.metrics).collect()
            for sample in metric.samples
            if sample.name == "pluginsandbox_reclaims_total" and sample.labels["plugin"] == plugin
        }


def config(*plugins: PluginConfig, **fields: int) -> HostConfig:
    return msgspec.structs.replace(HostConfig("default", "shop", plugins or (plugin(),)), **fields)


def plugin(name: str = "echo", *, own: bool = False, **limits: int) -> PluginConfig:
    isolation: Isolation = "PerContext" if own else "PerPlugin"
    return PluginConfig(
        name, "/nowhere", "echo:Echo", isolation=isolation, limits=PluginLimits(**limits)
    )
