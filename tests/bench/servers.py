"""The servers under load: ours, and what a team would write instead."""

from __future__ import annotations

import contextlib
import dataclasses
import socket
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import yaml

from tests.bed import sandboxes
from tests.bed.kubectl import until

SERVER_CORE = "0"
PROGRAM = Path(sys.executable).with_name("pluginsandbox")
ECHO = """
from pluginsandbox.sdk import Plugin, function


class Echo(Plugin):
    @function
    def echo(self, text: str) -> str:
        return text
"""
BARE = """
async def app(scope, receive, send):
    body = (await receive())["body"]
    await send({"type": "http.response.start", "status": 200,
                "headers": [(b"content-type", b"application/json")]})
    await send({"type": "http.response.body", "body": body})
"""
IN_PROCESS = """
import msgspec

class Arguments(msgspec.Struct):
    text: str

decode = msgspec.json.Decoder(Arguments).decode

def echo(text: str) -> str:
    return text

async def app(scope, receive, send):
    body = (await receive())["body"]
    answer = msgspec.json.encode(echo(decode(body).text))
    await send({"type": "http.response.start", "status": 200,
                "headers": [(b"content-type", b"application/json")]})
    await send({"type": "http.response.body", "body": answer})
"""
PROCESS_PER_CALL = """
import asyncio, sys

CHILD = "import sys, json; print(json.dumps(json.load(sys.stdin)['text']))"

async def app(scope, receive, send):
    body = (await receive())["body"]
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-I", "-S", "-c", CHILD, stdin=-1, stdout=-1)
    answer, _ = await child.communicate(body)
    await send({"type": "http.response.start", "status": 200,
                "headers": [(b"content-type", b"application/json")]})
    await send({"type": "http.response.body", "body": answer})
"""
OURS_PATH = "/v1/plugins/echo/functions/echo"


@dataclasses.dataclass(frozen=True)
class Server:
    """Something that answers the same POST."""

    name: str
    path: str
    contexts: int
    """How many contexts the load spreads over; 0 = none is named."""
    start: Callable[[Path, int], list[str]]
    """Lays out its files and returns its command line."""


def _ours(isolation: str) -> Callable[[Path, int], list[str]]:
    def start(folder: Path, port: int) -> list[str]:
        plugin = sandboxes.plugin("echo", "echo:Echo", isolation=isolation)
        objects = [
            sandboxes.source("echo", {"echo.py": ECHO}),
            sandboxes.sandbox("bench", plugin),
        ]
        file = folder / "bench.yaml"
        file.write_text(yaml.safe_dump_all(objects), encoding="utf-8")
        command = [str(PROGRAM), "run", str(file)]
        return [*command, "--port", str(port), "--admin-port", str(free_port())]

    return start


def _uvicorn(code: str) -> Callable[[Path, int], list[str]]:
    def start(folder: Path, port: int) -> list[str]:
        (folder / "served.py").write_text(code, encoding="utf-8")
        command = [sys.executable, "-m", "uvicorn", "--app-dir", str(folder), "served:app"]
        options = ["--loop", "uvloop", "--http", "httptools", "--no-access-log"]
        return [*command, *options, "--port", str(port), "--log-level", "warning"]

    return start


BASELINE = Server("uvicorn, bare echo, no isolation", "/", 0, _uvicorn(BARE))
SERVERS = (
    BASELINE,
    Server("uvicorn, the same function, no isolation", "/", 0, _uvicorn(IN_PROCESS)),
    Server("PluginSandbox, PerPlugin, one context", OURS_PATH, 1, _ours("PerPlugin")),
    Server("PluginSandbox, PerContext, 16 contexts", OURS_PATH, 16, _ours("PerContext")),
    Server("a process for each call", "/", 0, _uvicorn(PROCESS_PER_CALL)),
)


def free_port() -> int:
    """Return a port of the loopback address that nobody uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def running(server: Server) -> Iterator[str]:
    """Start a server on one core; yield its URL once it answers."""
    port = free_port()
    url = f"http://127.0.0.1:{port}{server.path}"
    with tempfile.TemporaryDirectory() as folder:
        command = ["taskset", "--cpu-list", SERVER_CORE, *server.start(Path(folder), port)]
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            until(f"{server.name} answers", lambda: _answers(url), seconds=30)
            yield url
        finally:
            process.terminate()
            process.wait(timeout=40)


def _answers(url: str) -> bool:
    request = urllib.request.Request(url, b'{"text": "x"}', {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=5) as response:
            return bool(response.status == 200)
    except urllib.error.HTTPError as error:
        error.close()
        return False
