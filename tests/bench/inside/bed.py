"""A host with real workers and no doors, and calls whose answers are timed."""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

from pluginsandbox.api.host_config import HostConfig, Isolation, PluginConfig, PluginLimits
from pluginsandbox.host.assembly import Host
from pluginsandbox.host.calls import Call
from pluginsandbox.host.frames import Checkpoint, Failed, Log, Reclaimed, Result
from pluginsandbox.host.problem import Problem
from pluginsandbox.host.python_runtime import PythonRuntime
from pluginsandbox.host.runtime import Worker, WorkerExit
from pluginsandbox.sdk.durable import Slots
from tests.bench.servers import PLUGIN

SECONDS = 60
"""Longer than anything here waits for on a busy machine."""


@contextlib.contextmanager
def echo(*, isolation: Isolation = "PerPlugin", max_contexts: int = 1000) -> Iterator[PluginConfig]:
    """Lay out the plugin under load and yield how the host is told of it."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / PLUGIN.name).write_bytes(PLUGIN.read_bytes())
        limits = PluginLimits(max_contexts=max_contexts)
        yield PluginConfig(
            name="echo", root=folder, entry_point="plugin:Echo", isolation=isolation, limits=limits
        )


@contextlib.asynccontextmanager
async def runtime(config: HostConfig) -> AsyncIterator[PythonRuntime]:
    """Start a zygote, and end it with all workers."""
    made = PythonRuntime(config, asyncio.get_running_loop())
    made.start()
    try:
        yield made
    finally:
        await made.close()


@contextlib.asynccontextmanager
async def host(*plugins: PluginConfig, warm_workers: int = 2) -> AsyncIterator[Host]:
    """Bring a host up and yield it once its plugins serve."""
    config = HostConfig(
        namespace="bench", sandbox="bench", plugins=plugins, warm_workers=warm_workers
    )
    async with runtime(config) as made:
        found = Host(config, made)
        alarm = found.turn(asyncio.get_running_loop())
        for index, plugin in enumerate(plugins):
            found.open_plugin(await made.prepare(index, plugin))
        await until(lambda: all(each.state == "Loaded" for each in found.plugins.values()))
        try:
            yield found
        finally:
            alarm.stop()


class Heard:
    """Hears a worker; does nothing of itself, for a worker under load does as it should."""

    def on_ready(self, worker: Worker) -> None:
        """It serves."""

    def on_result(self, worker: Worker, result: Result, body: bytes) -> None:
        """A call returned."""

    def on_failed(self, worker: Worker, failed: Failed) -> None:
        """A call did not."""

    def on_checkpoint(self, worker: Worker, call: int, point: Checkpoint, slots: Slots) -> None:
        """Durable slots are stored."""

    def on_reclaimed(self, worker: Worker, reclaimed: Reclaimed) -> None:
        """A binding is gone."""

    def on_log(self, worker: Worker, log: Log) -> None:
        """It said something."""

    def on_denied(self, worker: Worker, call: str) -> None:
        """It was refused a system call."""

    def on_exit(self, worker: Worker, end: WorkerExit) -> None:
        """It is gone."""


async def until(met: Callable[[], bool]) -> None:
    """Wait for a condition.

    Raises:
        TimeoutError: It did not come to be.

    """
    async with asyncio.timeout(SECONDS):
        while not met():  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.001)


class TimedCall(Call):
    """A call that tells a future when it was answered."""

    __slots__ = ("answered", "began")
    began: float
    answered: asyncio.Future[float]

    def on_result(self, codec: int, body: bytes) -> None:
        """Tell the seconds from the call to here."""
        del codec, body
        self.answered.set_result(time.perf_counter() - self.began)

    def on_problem(self, problem: Problem) -> None:
        """Fail."""
        self.answered.set_exception(problem)


def call(found: Host, context: str, body: bytes) -> asyncio.Future[float]:
    """Call the plugin in a context; the future has the seconds until it was answered."""
    plugin = next(iter(found.plugins.values()))
    made = TimedCall("", context, plugin, 0, 0, body, found.clock())
    made.answered = asyncio.get_running_loop().create_future()
    made.began = time.perf_counter()
    found.invoker.invoke(made)
    return made.answered
