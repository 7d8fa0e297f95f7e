"""How long the three example plugins take from their files to their first answer."""

from __future__ import annotations

import asyncio
import tempfile
import time
from pathlib import Path

import msgspec

from pluginsandbox.api import documents, render
from pluginsandbox.api.host_config import HostConfig
from pluginsandbox.api.plugin import Plugin, PluginSecret
from pluginsandbox.host.frames import Bind, Failed, Result
from pluginsandbox.host.runtime import Prepared, Worker
from pluginsandbox.verify.digest import tree_digest
from tests.bed.shell import REPOSITORY
from tests.bench.inside import bed

SAMPLE = REPOSITORY / "manifests" / "samples" / "shop.yaml"
ROUNDS = 5
STAGES = ("fetch", "verify", "load", "start", "on_start")


class First(bed.Heard):
    """A worker until its first answer; the plugin is bound by it, so `on_start` has run."""

    def __init__(self) -> None:
        self.bind_seconds = asyncio.get_running_loop().create_future()

    def on_ready(self, worker: Worker) -> None:
        """Bind a context by a call without arguments; most functions want some, and say so."""
        worker.call(
            call=1,
            function=0,
            context=1,
            timeout_microseconds=10**6,
            codec=0,
            traceparent="",
            body=b"{}",
            bind=Bind("", "shanghai-1", 1),
        )

    def on_result(self, worker: Worker, result: Result, body: bytes) -> None:
        """Note the time of `on_start`."""
        del worker, body
        self.bind_seconds.set_result(result.bind_seconds)

    def on_failed(self, worker: Worker, failed: Failed) -> None:
        """Note the time of `on_start`."""
        del worker
        assert failed.bound, failed
        self.bind_seconds.set_result(failed.bind_seconds)


async def measure() -> dict[str, object]:
    """Return milliseconds by plugin and stage, and of all together, round by round."""
    with tempfile.TemporaryDirectory() as folder:
        config = _laid_out(Path(folder))
        async with bed.runtime(config) as runtime:
            await runtime.prepare(0, config.plugins[0])  # the zygote is up
            stages: dict[str, list[dict[str, float]]] = {each.name: [] for each in config.plugins}
            together = []
            for _ in range(ROUNDS):
                began = time.perf_counter()
                prepared = [await runtime.prepare(n, p) for n, p in enumerate(config.plugins)]
                workers = [First() for _ in prepared]
                spawned = [
                    runtime.spawn(plugin, first)
                    for plugin, first in zip(prepared, workers, strict=True)
                ]
                seconds = [await first.bind_seconds for first in workers]
                together.append((time.perf_counter() - began) * 1e3)
                for plugin, on_start in zip(prepared, seconds, strict=True):
                    stages[plugin.config.name].append(_milliseconds(plugin, on_start))
                for worker in spawned:
                    worker.kill()
    return {"stages": stages, "together": together}


def _milliseconds(plugin: Prepared, on_start: float) -> dict[str, float]:
    seconds = {**plugin.stage_seconds, "on_start": on_start}
    return {stage: seconds[stage] * 1e3 for stage in STAGES}


def _laid_out(top: Path) -> HostConfig:
    """Lay out the sample's files; return the host's configuration."""
    found = documents.load(SAMPLE)
    sandbox = found.sandbox(None)

    def root(plugin: Plugin) -> str:
        return str(top / plugin.name)

    def secret_root(plugin: Plugin, secret: PluginSecret) -> str:
        return str(top / f"{plugin.name}.{secret.name}")

    digests = {}
    for plugin in sandbox.spec.plugins:
        files = found.files(sandbox, plugin)
        digests[plugin.name] = tree_digest(files)
        _write(Path(root(plugin)), files)
        for secret in plugin.secrets:
            _write(Path(secret_root(plugin, secret)), found.secret(sandbox, plugin, secret))
    made = render.host_config(sandbox, plugin_root=root, secret_root=secret_root)
    plugins = [
        msgspec.structs.replace(plugin, digest=digests[plugin.name]) for plugin in made.plugins
    ]
    return msgspec.structs.replace(made, plugins=tuple(plugins))


def _write(folder: Path, files: documents.Files) -> None:
    folder.mkdir(parents=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)
