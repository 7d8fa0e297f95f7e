"""A real host on this machine, as a process of its own: real plugins, real workers, real HTTP."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pluginsandbox.api.host_config import HostConfig, Isolation, PluginConfig, PluginLimits, encode

SECONDS = 60.0
"""How long a test waits for anything; this machine may be busy."""

Json = Any

COUNTER = '''
import os
import time
from pluginsandbox.sdk import Plugin, function, slot


class Counter(Plugin):
    """Counts in each context."""

    total = slot(int, default=0)
    told = slot(str, default="")

    def on_start(self) -> None:
        print("started")

    def on_exit(self, cause: str) -> None:
        print(f"ended by {cause} at {self.total.get()}")

    def on_panic(self, error: BaseException) -> None:
        print(f"panic: {error}")

    @function
    def add(self, amount: int = 1) -> int:
        """Add to the count, and return it."""
        self.total.set(self.total.get() + amount)
        return self.total.get()

    @function
    def sleep(self, seconds: float) -> float:
        """Wait, as a plugin must not."""
        time.sleep(seconds)
        return seconds

    @function
    def wait(self, name: str) -> bool:
        """Wait for a file of this name beside the plugin's own."""
        path = os.path.join(os.path.dirname(__file__), name)
        while not os.path.exists(path):
            time.sleep(0.02)
        return True

    @function
    def stick(self) -> int:
        """Stay in C code, where no timer can interrupt."""
        return sum(range(10**11))

    @function
    def fall(self) -> None:
        """Take the worker along."""
        import os
        os._exit(7)

    @function
    def fail(self, message: str) -> None:
        """Raise."""
        raise ValueError(message)

    @function
    def trace(self) -> str:
        """Return the traceparent."""
        return self.traceparent

    @function
    def keep(self, mebibytes: int) -> None:
        """Hold memory."""
        self.kept = b"x" * (mebibytes << 20)

    @function
    def size(self, text: str) -> int:
        """Return how long a text is."""
        return len(text)

    @function
    def text(self, size: int) -> str:
        """Return a text of some length."""
        return "x" * size
'''


@dataclass
class Answer:
    """What came back."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Json:
        return json.loads(self.body)

    @property
    def new(self) -> bool:
        return self.headers["sandbox-binding"].startswith("new")

    @property
    def generation(self) -> int:
        return int(self.headers["sandbox-binding"].partition("generation=")[2])


@dataclass
class Host:
    """A running host."""

    process: subprocess.Popen[bytes]
    lines: list[dict[str, Any]] = field(default_factory=list)
    http: tuple[str, int] = ("", 0)
    admin: tuple[str, int] = ("", 0)

    def request(
        self,
        method: str,
        path: str,
        body: Json = None,
        headers: Mapping[str, str] | None = None,
        *,
        admin: bool = False,
    ) -> Answer:
        """Send one request on a connection of its own."""
        connection = http.client.HTTPConnection(
            *(self.admin if admin else self.http), timeout=SECONDS
        )
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        with contextlib.closing(connection):
            connection.request(method, path, data, dict(headers or {}))
            answer = connection.getresponse()
            named = {name.lower(): value for name, value in answer.getheaders()}
            return Answer(answer.status, named, answer.read())

    def call(
        self,
        function: str,
        arguments: Json = None,
        context: str | None = None,
        plugin: str = "counter",
        **headers: str,
    ) -> Answer:
        """Call a function; `headers` as `Sandbox_Bind="existing"`."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        if context is not None:
            named["Sandbox-Context"] = context
        path = f"/v1/plugins/{plugin}/functions/{function}"
        return self.request("POST", path, arguments or {}, named)

    def ask(self, path: str) -> Answer:
        """Ask the cluster's door."""
        return self.request("GET", path, admin=True)

    def metric(self, name: str, **labels: str) -> float:
        """Return the value of a series of `/metrics`, 0 if there is none."""
        for line in self.ask("/metrics").body.decode().splitlines():
            if line.startswith(f"pluginsandbox_{name}{{") and all(
                f'{key}="{value}"' in line for key, value in labels.items()
            ):
                return float(line.rpartition(" ")[2])
        return 0.0

    def said(self, text: str) -> list[dict[str, Any]]:
        """Lines of the host's log in which a text occurs."""
        return [line for line in self.lines if text in json.dumps(line)]

    def until(self, what: Callable[[], object], seconds: float = SECONDS) -> None:
        """Wait for a condition."""
        end = time.monotonic() + seconds
        while not what():
            assert time.monotonic() < end, f"not within {seconds} s; log: {self.lines[-20:]}"
            assert self.process.poll() is None, f"the host ended: {self.lines[-20:]}"
            time.sleep(0.005)

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Send a signal, wait for the end, return the exit status."""
        self.process.send_signal(number)
        return self.process.wait(SECONDS)

    def workers(self) -> list[int]:
        """Process ids of the zygote's children."""
        return [worker for zygote in self.zygotes() for worker in _children(zygote)]

    def zygotes(self) -> list[int]:
        """Process ids of the host's children: one zygote, but for a moment after its death."""
        return _children(self.process.pid)


def _children(pid: int) -> list[int]:
    try:
        return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def plugin(
    folder: Path,
    name: str = "counter",
    code: str = COUNTER,
    entry: str = "Counter",
    isolation: Isolation = "PerPlugin",
    **limits: int,
) -> PluginConfig:
    """Write a plugin into a folder of its own."""
    root = folder / name
    root.mkdir(parents=True)
    (root / "code_of_it.py").write_text(textwrap.dedent(code))
    return PluginConfig(
        name,
        str(root),
        f"code_of_it:{entry}",
        isolation=isolation,
        limits=PluginLimits(**limits),
    )


@contextlib.contextmanager
def running(
    folder: Path,
    *plugins: PluginConfig,
    ready: bool = True,
    address: str = "127.0.0.1",
    options: tuple[str, ...] = (),
    **fields: Any,
) -> Iterator[Host]:
    """Run a host; ended at the end, whatever happens."""
    config = HostConfig("default", "shop", plugins, **fields)
    path = folder / "config.json"
    path.write_bytes(encode(config))
    program = str(Path(sys.executable).with_name("pluginsandbox"))
    command = [program, "host", "--config", str(path)]
    words = ["--http", f"{address}:0", "--admin", f"{address}:0", "--log-level", "debug", *options]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1", "POD_IP": address}
    process = subprocess.Popen([*command, *words], stderr=subprocess.PIPE, env=environment)
    host = Host(process)
    reader = threading.Thread(target=_read, args=(process, host.lines), daemon=True)
    reader.start()
    try:
        host.until(lambda: host.said('"listening"'))
        line = host.said('"listening"')[0]
        host.http, host.admin = tuple(line["http"]), tuple(line["admin"])
        if ready:
            host.until(lambda: host.ask("/readyz").status == 200)
        yield host
    finally:
        if process.poll() is None:
            process.kill()
        process.wait(SECONDS)
        reader.join(SECONDS)
        assert process.stderr is not None
        process.stderr.close()


def _read(process: subprocess.Popen[bytes], lines: list[dict[str, Any]]) -> None:
    assert process.stderr is not None
    for line in process.stderr:
        try:
            lines.append(json.loads(line))
        except ValueError:
            lines.append({"event": line.decode(errors="replace").rstrip()})
