"""One life of an operator, from its start to its death: in a thread, or as a real process."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
import threading
from pathlib import Path
from typing import Protocol

import yaml

from pluginsandbox.controller import connection
from pluginsandbox.controller.operator import Operator
from pluginsandbox.controller.settings import Settings

COMMAND = Path(sys.executable).with_name("pluginsandbox")
_END_SECONDS = 30.0


class Incarnation(Protocol):
    """An operator that can be killed."""

    async def start(self) -> None:
        """Begin to live."""

    def kill(self) -> None:
        """Die at once, with nothing said to anybody."""

    async def end(self) -> None:
        """Wait until nothing of it is left."""


class InThread:
    """An operator with a loop of its own, of which nothing is kept.

    Its connections must be cut before it is killed: then it cannot say good-bye.

    Args:
        kubeconfig: Of its proxy.
        namespace: That it watches.
        settings: Its configuration.

    """

    def __init__(self, kubeconfig: Path, namespace: str, settings: Settings) -> None:
        self._kubeconfig = kubeconfig
        self._namespace = namespace
        self._settings = settings
        self._loop: asyncio.AbstractEventLoop
        self._lives = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    async def start(self) -> None:
        """Begin to live."""
        self._thread.start()
        await asyncio.to_thread(self._lives.wait)

    def kill(self) -> None:
        """Cancel all that it does."""
        with contextlib.suppress(RuntimeError):  # it has ended
            self._loop.call_soon_threadsafe(_cancel_all)

    async def end(self) -> None:
        """Wait for the thread."""
        await asyncio.to_thread(self._thread.join, _END_SECONDS)
        if self._thread.is_alive():
            raise TimeoutError("an operator's thread does not end")

    def _run(self) -> None:
        with contextlib.suppress(asyncio.CancelledError):
            asyncio.run(self._live())

    async def _live(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._lives.set()
        client = await connection.connect(self._kubeconfig)
        spaces = (self._namespace,)
        operator = Operator(self._settings, client, namespaces=spaces, host="127.0.0.1", port=0)
        await operator.run(asyncio.Event())


class AsProcess:
    """The command as a user starts it; dies by SIGKILL.

    Args:
        kubeconfig: Of its proxy.
        namespace: That it watches.
        settings: Its configuration.
        port: Of its health server and metrics; 0 = any.

    """

    def __init__(self, kubeconfig: Path, namespace: str, settings: Settings, port: int = 0) -> None:
        self._config = kubeconfig.with_suffix(".yaml")
        self._config.write_text(yaml.safe_dump(settings.model_dump(by_alias=True)))
        self._words: tuple[str, ...] = ("--kubeconfig", str(kubeconfig), "--namespace", namespace)
        self._words += ("--port", str(port))
        self.log = kubeconfig.with_suffix(".log")
        self._process: asyncio.subprocess.Process

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    async def start(self) -> None:
        """Start the command."""
        words = (*self._words, "--config", str(self._config))
        with self.log.open("wb") as log:
            self._process = await asyncio.create_subprocess_exec(
                str(COMMAND), "operator", *words, stdout=log, stderr=log
            )

    def kill(self) -> None:
        """Kill it."""
        self.signal(signal.SIGKILL)

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(number)

    async def end(self) -> None:
        """Wait for the process."""
        await asyncio.wait_for(self._process.wait(), _END_SECONDS)


def _cancel_all() -> None:
    for task in asyncio.all_tasks():
        task.cancel()
