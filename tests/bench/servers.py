"""The servers under load: ours, and what a team would write instead."""

from __future__ import annotations

import contextlib
import dataclasses
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import yaml

from tests.bed import sandboxes
from tests.bed.kubectl import until
from tests.bed.shell import REPOSITORY
from tests.bench.cores import SERVER_CORE

PROGRAM = Path(sys.executable).with_name("pluginsandbox")
PLUGIN = Path(__file__).with_name("peers") / "plugin.py"
OURS_PATH = "/v1/plugins/echo/functions/echo"
STARTED_SECONDS = 30
STOPPED_SECONDS = 40

Command = Callable[[Path, int], Sequence[str]]
"""Lays out its files in a folder and returns the command line that serves on a port."""


@dataclasses.dataclass(frozen=True)
class Server:
    """Something that answers the same request."""

    name: str
    command: Command
    path: str = "/"
    protocol: str = "http"
    """`http` or `grpc`."""
    connections: int = 32
    streams: int = 1
    """Requests under way on one connection."""
    traced: bool = False
    """Whether each request carries a trace of its own, which makes every head another."""


@dataclasses.dataclass(frozen=True)
class Running:
    """A server that answers."""

    server: Server
    port: int
    pid: int


def ours(isolation: str) -> Command:
    """Return how to serve the plugin with an isolation of its contexts."""

    def command(folder: Path, port: int) -> Sequence[str]:
        plugin = sandboxes.plugin("echo", "plugin:Echo", isolation=isolation)
        source = sandboxes.source("echo", {"plugin.py": PLUGIN.read_text(encoding="utf-8")})
        file = folder / f"{isolation}.yaml"
        objects = [source, sandboxes.sandbox("bench", plugin)]
        file.write_text(yaml.safe_dump_all(objects), encoding="utf-8")
        ports = ("--port", str(port), "--admin-port", str(free_port()))
        return (str(PROGRAM), "run", str(file), *ports)

    return command


def _uvicorn(module: str) -> Command:
    options = ("--loop", "uvloop", "--http", "httptools", "--no-access-log", "--log-level", "error")
    words = (sys.executable, "-m", "uvicorn", f"tests.bench.peers.{module}:app", *options)
    return lambda _, port: (*words, "--port", str(port))


def _grpc(kind: str) -> Command:
    words = (sys.executable, "-m", "tests.bench.peers.grpc_server", kind)
    return lambda _, port: (*words, str(port))


BASELINE = Server("uvicorn, bare echo", _uvicorn("bare"))
PER_PLUGIN = Server("PluginSandbox, PerPlugin", ours("PerPlugin"), OURS_PATH)
PER_PLUGIN_TRACED = dataclasses.replace(
    PER_PLUGIN, name=f"{PER_PLUGIN.name}, a trace in each call", traced=True
)
PER_CONTEXT = Server("PluginSandbox, PerContext", ours("PerContext"), OURS_PATH)
GRPC_AIO = Server(
    "grpc.aio on uvloop", _grpc("aio"), "/bench.Echo/Echo", "grpc", connections=4, streams=8
)
GRPC_SYNC = Server(
    "grpcio, 4 threads", _grpc("sync"), "/bench.Echo/Echo", "grpc", connections=4, streams=8
)
SERVERS = (
    BASELINE,
    PER_PLUGIN,
    PER_PLUGIN_TRACED,
    PER_CONTEXT,
    Server("uvicorn, the function", _uvicorn("function")),
    Server("FastAPI, the function", _uvicorn("fast_api")),
    GRPC_AIO,
    GRPC_SYNC,
    Server("a process for each call", _uvicorn("spawning"), connections=4),
)


def free_port() -> int:
    """Return a port of the loopback address that nobody uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def running(server: Server) -> Iterator[Running]:
    """Start a server, with all its workers on one core; yield it once it listens."""
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        words = ("taskset", "--cpu-list", str(SERVER_CORE), *server.command(Path(folder), port))
        process = subprocess.Popen(
            words, cwd=REPOSITORY, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            until(f"{server.name} listens", lambda: _listens(port), seconds=STARTED_SECONDS)
            yield Running(server, port, process.pid)
        finally:
            process.terminate()
            process.wait(timeout=STOPPED_SECONDS)


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True
