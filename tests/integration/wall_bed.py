"""A host's runtime with real zygotes and workers, and plugins that do what a test tells them."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, Literal

from pluginsandbox.api.host_config import HostConfig, PluginConfig, PluginLimits
from pluginsandbox.host.frames import Bind, Checkpoint, Codec, Failed, Log, Reclaimed, Result
from pluginsandbox.host.python_runtime import PythonRuntime
from pluginsandbox.host.python_worker import PythonWorker
from pluginsandbox.host.runtime import Prepared, Worker, WorkerExit
from pluginsandbox.sdk.durable import Slots

SECONDS = 20.0
"""Longer than anything here takes on a busy machine."""

OBEDIENT = """
from pluginsandbox.sdk import Plugin, function, slot

class Obedient(Plugin):
    count = slot(int, default=0)

    @function
    def count_up(self) -> int:
        self.count.set(self.count.get() + 1)
        return self.count.get()

    @function
    def echo(self, text: str) -> str:
        return text

    @function
    def run(self, code: str) -> str:
        scope = {"self": self}
        exec(code, scope)
        return str(scope.get("out"))
"""
ENTRY_POINT = "obedient:Obedient"

Event = str | Failed | WorkerExit | Reclaimed | Log


class Recorder:
    """Hears one worker, and calls it."""

    def __init__(self) -> None:
        self.worker: PythonWorker | None = None
        self.logs: list[Log] = []
        self.denied: list[str] = []
        self.points: list[tuple[int, int, int, Slots]] = []
        self.answers: asyncio.Queue[tuple[int, Any]] = asyncio.Queue()
        self.ready: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self.over: asyncio.Future[WorkerExit] = asyncio.get_running_loop().create_future()
        self._numbers = itertools.count(1)
        self._bound: set[int] = set()

    @property
    def live(self) -> PythonWorker:
        """The worker."""
        assert self.worker is not None
        return self.worker

    def start(
        self, function: str, context: int = 1, seconds: float = SECONDS, **arguments: Any
    ) -> int:
        """Start a call; the answer comes to `answers`."""
        number = next(self._numbers)
        names = [info.name for info in self.live.plugin.functions]
        bind = None if context in self._bound else Bind("", f"context-{context}", context)
        self._bound.add(context)
        self.live.call(
            call=number,
            function=names.index(function),
            context=context,
            timeout_microseconds=int(seconds * 1e6),
            codec=Codec.JSON,
            traceparent="",
            body=json.dumps(arguments).encode(),
            bind=bind,
        )
        return number

    async def call(
        self, function: str, context: int = 1, seconds: float = SECONDS, **arguments: Any
    ) -> Any:
        """Return what a call returned, or `Failed`, or how the worker ended over it."""
        self.start(function, context, seconds, **arguments)
        return await self.answer()

    async def run(self, code: str, context: int = 1, seconds: float = SECONDS) -> Any:
        """Have the worker run some code as its plugin."""
        return await self.call("run", context, seconds, code=code)

    async def answer(self) -> Any:
        """Return the next answer."""
        async with asyncio.timeout(SECONDS):
            return (await self.answers.get())[1]

    async def reclaim(self, context: int, cause: str = "Released") -> Reclaimed:
        """Give a binding back."""
        number = next(self._numbers)
        self.live.reclaim(call=number, context=context, cause=cause, timeout_microseconds=10**6)
        self._bound.discard(context)
        answer = await self.answer()
        assert isinstance(answer, Reclaimed)
        return answer

    async def end(self) -> WorkerExit:
        """Return how the worker ended."""
        async with asyncio.timeout(SECONDS):
            return await self.over

    def on_ready(self, worker: Worker) -> None:
        del worker
        self.ready.set_result(True)

    def on_checkpoint(self, worker: Worker, call: int, point: Checkpoint, slots: Slots) -> None:
        del worker
        self.points.append((call, point.epoch, point.n, slots))

    def on_result(self, worker: Worker, result: Result, body: bytes) -> None:
        del worker
        self.answers.put_nowait((result.call, json.loads(body)))

    def on_failed(self, worker: Worker, failed: Failed) -> None:
        del worker
        self.answers.put_nowait((failed.call, failed))

    def on_reclaimed(self, worker: Worker, reclaimed: Reclaimed) -> None:
        del worker
        self.answers.put_nowait((reclaimed.call, reclaimed))

    def on_log(self, worker: Worker, log: Log) -> None:
        del worker
        self.logs.append(log)

    def on_denied(self, worker: Worker, call: str) -> None:
        del worker
        self.denied.append(call)

    def on_exit(self, worker: Worker, end: WorkerExit) -> None:
        del worker
        if not self.ready.done():
            self.ready.set_result(False)
        self.over.set_result(end)
        self.answers.put_nowait((0, end))


class Bed:
    """A runtime and the plugins made for it.

    Args:
        directory: Where plugins' files are written.
        confinement: Whether the whole wall must stand.

    """

    def __init__(
        self, directory: Path, confinement: Literal["Strict", "BestEffort"] = "Strict"
    ) -> None:
        self.directory = directory
        self._indexes = itertools.count()
        config = HostConfig("shop", "orders", (), confinement=confinement)
        self.runtime = PythonRuntime(config, asyncio.get_running_loop())
        self.runtime.start()

    def plugin(
        self,
        source: str | dict[str, str] = OBEDIENT,
        entry_point: str = ENTRY_POINT,
        name: str = "",
        limits: PluginLimits | None = None,
        **more: Any,
    ) -> PluginConfig:
        """Write a plugin's files and return its configuration."""
        name = name or f"plugin-{next(self._indexes)}"
        root = self.directory / name
        files = {"obedient.py": source} if isinstance(source, str) else source
        for path, text in files.items():
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_text(text)
        return PluginConfig(
            name=name,
            root=str(root),
            entry_point=entry_point,
            limits=limits or PluginLimits(),
            **more,
        )

    async def prepare(self, plugin: PluginConfig | None = None, **more: Any) -> Prepared:
        """Prepare a plugin."""
        return await self.runtime.prepare(0, plugin or self.plugin(**more))

    async def worker(self, prepared: Prepared | None = None, **more: Any) -> Recorder:
        """Return a worker that serves."""
        recorder = self.spawn(prepared or await self.prepare(**more))
        async with asyncio.timeout(SECONDS):
            assert await recorder.ready
        return recorder

    def spawn(self, prepared: Prepared, panicked: str = "") -> Recorder:
        """Return a worker that may not serve yet."""
        recorder = Recorder()
        recorder.worker = self.runtime.spawn(prepared, recorder, panicked=panicked)
        return recorder


@contextlib.asynccontextmanager
async def running(
    directory: Path, confinement: Literal["Strict", "BestEffort"] = "Strict"
) -> AsyncIterator[Bed]:
    """Run a bed and clear it away."""
    bed = Bed(directory, confinement)
    try:
        yield bed
    finally:
        await bed.runtime.close()


def children(parent: int) -> Iterator[int]:
    """Yield the processes, dead ones included, whose parent this is."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
                if int(fields[1]) == parent:
                    yield int(entry.name)


def descriptors(process: int | None = None) -> int:
    """Return how many descriptors a process has open."""
    return len(os.listdir(f"/proc/{process or os.getpid()}/fd"))  # noqa: PTH208


async def until(condition: Any, seconds: float = SECONDS) -> None:
    """Wait until a condition holds."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - nothing tells of a process that is gone
            await asyncio.sleep(0.005)


def text(path: str) -> str:
    """Return what a file of the kernel says."""
    return Path(path).read_text()


def status(process: int) -> dict[str, str]:
    """Return what the kernel says of a process."""
    lines = text(f"/proc/{process}/status").splitlines()
    return dict(line.split(":\t", 1) for line in lines if ":\t" in line)
