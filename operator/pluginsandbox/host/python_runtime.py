"""The Python strategy behind `runtime.Runtime`: verified files, a zygote, confined workers."""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource
import socket
import time
from pathlib import Path

import msgspec

from pluginsandbox.api.host_config import HostConfig, PluginConfig
from pluginsandbox.host import artefact, confine, kernel, memory
from pluginsandbox.host.frames import FRAME_BYTES, Checkpoint, Failed, Log, Reclaimed, Result
from pluginsandbox.host.messages import Start
from pluginsandbox.host.nursery import Nursery
from pluginsandbox.host.python_worker import PythonWorker
from pluginsandbox.host.runtime import Prepared, PrepareError, Worker, WorkerEvents, WorkerExit
from pluginsandbox.host.shelf import Shelf
from pluginsandbox.sdk.durable import Slots
from pluginsandbox.sdk.keys import plugin_key

PREPARE_SECONDS = 10.0
"""How long a plugin may take to be imported when it is looked at for the first time."""
_CLOSE_SECONDS = 5.0


class PythonRuntime:
    """Runs Python plugins; see `runtime.Runtime`. To be made and used in the main thread.

    Args:
        config: Whose plugins they are, and whether the whole wall must stand.
        loop: The host's event loop.

    """

    def __init__(self, config: HostConfig, loop: asyncio.AbstractEventLoop) -> None:
        self._config = config
        self._loop = loop
        self.shelf = Shelf(config.plugins)
        """What the plugins publish for each other."""
        self._nursery = Nursery(self, loop)
        self._workers: dict[int, PythonWorker] = {}
        self._processes: dict[int, PythonWorker] = {}
        """The same by process id, once that is known."""
        self._last_number = 0
        self._keys: dict[str, str] = {}
        self._oom_kills = memory.OomKills()
        self._one_gone: asyncio.Future[None] | None = None
        self._filters: int | None = None
        """How many a worker must be under once it serves."""

    @property
    def zygote_pid(self) -> int | None:
        """Process id of the zygote, if there is one."""
        return self._nursery.pid

    @property
    def workers(self) -> int:
        """How many workers there are."""
        return len(self._workers)

    def start(self) -> None:
        """Guard this process against its workers and start the zygote; returns at once.

        Raises:
            OSError: The kernel refused.

        """
        confine.guard_host()
        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
        self._nursery.start()

    async def prepare(self, index: int, plugin: PluginConfig) -> Prepared:
        """Verify a plugin's files, and import it once in a confined child of its own.

        Raises:
            PrepareError: It can never work as it stands.

        """
        config = self._config
        key = plugin_key(config.namespace, config.sandbox, plugin.name)
        owner = self._keys.setdefault(key, plugin.name)
        if owner != plugin.name:
            raise PrepareError("KeyClash", f"its key is that of plugin {owner!r}: rename one")
        stages = await asyncio.to_thread(_verify, plugin)
        unknown = Prepared(index, plugin, key, (), stages)
        start = self._start(plugin, describe=True)
        if len(start) > FRAME_BYTES:
            limit = f"{FRAME_BYTES >> 10} KiB"
            raise PrepareError("ImportFailed", f"its config is over {limit}: ship it as a file")
        visit = _Visit(self._loop)
        worker = self._spawn(unknown, visit, start)
        try:
            async with asyncio.timeout(PREPARE_SECONDS):
                end = await visit.over
        except TimeoutError:
            raise PrepareError(
                "ImportFailed", f"its import did not end within {PREPARE_SECONDS:g} s"
            ) from None
        finally:
            worker.kill()
        return _described(unknown, worker, end)

    def spawn(self, plugin: Prepared, events: WorkerEvents, *, panicked: str = "") -> PythonWorker:
        """Start a worker; `panicked` tells it how the one before died."""
        worker = self._spawn(plugin, events, self._start(plugin.config))
        if panicked:
            worker.panicked(panicked)
        return worker

    def probe(self, events: WorkerEvents) -> PythonWorker:
        """Start a worker that tries the acts of `acts`, behind the wall of every other."""
        nothing = PluginConfig(name="probe", root="", entry_point="")
        start = self._start(nothing, probe=True)
        return self._spawn(Prepared(0, nothing, "", (), {}), events, start)

    def look(self) -> None:
        """End workers that use the CPU though they have nothing to do; to be called each second."""
        for worker in tuple(self._workers.values()):
            worker.look()

    async def close(self) -> None:
        """Kill and reap all workers, then end the zygote."""
        for worker in tuple(self._workers.values()):
            worker.kill()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_CLOSE_SECONDS):
                while self._workers:
                    self._one_gone = self._loop.create_future()
                    await self._one_gone
        self._nursery.close()
        for worker in tuple(self._workers.values()):
            worker.gone(None)
        self.shelf.close()

    # --- from the nursery ------------------------------------------------------------------------

    def on_spawned(self, worker: int, pid: int, descriptor: int) -> None:
        """Give a worker its process."""
        found = self._workers.get(worker)
        if found is None:
            os.close(descriptor)
        else:
            self._processes[pid] = found
            found.spawned(pid, descriptor)

    def on_spawn_failed(self, worker: int, message: str) -> None:
        """End a worker that never came to be."""
        if worker in self._workers:
            self._workers[worker].never_came(message)

    def on_reaped(self, worker: int, status: int, peak_bytes: int) -> None:
        """End a worker."""
        if worker in self._workers:
            self._workers[worker].gone(status, peak_bytes)

    def on_probing_refused(self, pid: int, call: str) -> None:
        """Tell whose process was refused a system call."""
        if pid in self._processes:
            self._processes[pid].denied(call)

    def on_zygote_lost(self) -> None:
        """End all workers: the kernel kills them with the zygote."""
        for worker in tuple(self._workers.values()):
            worker.orphaned()

    # --- workers ---------------------------------------------------------------------------------

    def _spawn(self, plugin: Prepared, events: WorkerEvents, start: bytes) -> PythonWorker:
        self._last_number += 1
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.setblocking(False)
        worker = PythonWorker(self._last_number, plugin, events, ours, self._loop, self)
        self._workers[worker.id] = worker
        worker.begin(start)
        config = plugin.config
        readable = (_root(config), *config.secrets.values()) if config.root else ()
        self._nursery.spawn(worker.id, readable, theirs)
        return worker

    def _start(self, plugin: PluginConfig, *, describe: bool = False, probe: bool = False) -> bytes:
        return msgspec.msgpack.encode(
            Start(
                namespace=self._config.namespace,
                sandbox=self._config.sandbox,
                plugin=plugin.name,
                root=_root(plugin),
                entry_point=plugin.entry_point,
                config=plugin.config,
                secrets=plugin.secrets,
                memory_bytes=plugin.limits.memory_bytes,
                result_bytes=plugin.limits.result_bytes,
                durable_bytes=plugin.limits.durable_bytes,
                concurrency=plugin.limits.concurrency,
                strict=self._config.confinement == "Strict",
                describe=describe,
                probe=probe,
            )
        )

    # --- from workers ----------------------------------------------------------------------------

    def out_of_memory(self) -> bool:
        """Claim a death of this container for want of memory, if there is one."""
        return self._oom_kills.claim()

    def walled(self, worker: PythonWorker) -> bool:
        """Whether a worker is behind the whole wall, as far as the kernel tells."""
        if self._config.confinement != "Strict":
            return True
        found = kernel.filters(worker.pid)
        zygote = self._nursery.pid
        if self._filters is None and zygote is not None:
            own = kernel.filters(zygote)
            self._filters = None if own is None else own + confine.FILTERS
        return found is None or self._filters is None or found == self._filters

    def forget(self, worker: PythonWorker) -> None:
        """Strike out a worker that is gone."""
        self._workers.pop(worker.id, None)
        if self._processes.get(worker.pid) is worker:
            del self._processes[worker.pid]
        if self._one_gone is not None and not self._one_gone.done():
            self._one_gone.set_result(None)


class _Visit:
    """Waits until a worker has loaded its plugin, or has ended.

    Args:
        loop: The host's event loop.

    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.over: asyncio.Future[WorkerExit | None] = loop.create_future()

    def on_ready(self, worker: Worker) -> None:
        """It is loaded."""
        self._end(None)
        worker.kill()

    def on_denied(self, worker: Worker, call: str) -> None:
        """Pass over: each worker that serves says it again."""

    def on_exit(self, worker: Worker, end: WorkerExit) -> None:
        """It has ended."""
        del worker
        self._end(end)

    def on_checkpoint(self, worker: Worker, call: int, point: Checkpoint, slots: Slots) -> None:
        """Never: it is asked nothing."""

    def on_result(self, worker: Worker, result: Result, body: bytes) -> None:
        """Never: it is asked nothing."""

    def on_failed(self, worker: Worker, failed: Failed) -> None:
        """Never: it is asked nothing."""

    def on_reclaimed(self, worker: Worker, reclaimed: Reclaimed) -> None:
        """Never: it is asked nothing."""

    def on_log(self, worker: Worker, log: Log) -> None:
        """Pass over: each worker that serves says it again."""

    def _end(self, end: WorkerExit | None) -> None:
        if not self.over.done():
            self.over.set_result(end)


def _root(plugin: PluginConfig) -> str:
    return str(Path(plugin.root).absolute())


def _verify(plugin: PluginConfig) -> dict[str, float]:
    """Return the seconds of the stages fetch and verify; raises PrepareError."""
    started = time.perf_counter()
    files = artefact.find(plugin.root)
    found = time.perf_counter()
    if plugin.digest is not None:
        artefact.verify(files, plugin.digest)
    return {"fetch": found - started, "verify": time.perf_counter() - found}


def _described(plugin: Prepared, worker: PythonWorker, end: WorkerExit | None) -> Prepared:
    """Return a plugin as its first worker described it; raises PrepareError."""
    loaded, refused = worker.loaded, worker.refused
    if refused is not None:
        raise PrepareError(refused.reason, refused.message)
    if loaded is None:
        told = "before it was loaded" if end is None else f"while it was loaded: {end.detail}"
        raise PrepareError("ImportFailed", f"its worker ended {told}")
    names = [function.name for function in loaded.functions]
    if not names or len(set(names)) < len(names) or not all(name.isidentifier() for name in names):
        raise PrepareError("EntryPointInvalid", "its functions have no proper names")
    for function in loaded.functions:
        for schema in (function.arguments_schema, function.result_schema):
            _check_schema(function.name, schema)
    stages = {**plugin.stage_seconds, "load": loaded.load_seconds, "start": loaded.start_seconds}
    return msgspec.structs.replace(plugin, functions=loaded.functions, stage_seconds=stages)


def _check_schema(function: str, schema: bytes) -> None:
    try:
        msgspec.json.decode(schema, type=dict[str, msgspec.Raw])
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        message = f"the schema of function {function} is not JSON: {error}"
        raise PrepareError("EntryPointInvalid", message) from error
