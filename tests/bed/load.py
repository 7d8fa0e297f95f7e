"""Calls a sandbox through its Service all the while, from a pod or from the node: see `tally`."""

from __future__ import annotations

import contextlib
import dataclasses
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.bed import caller, shell
from tests.bed.kubectl import Kubectl, until

SCRIPT = Path(__file__).with_name("tally.py")
END_SECONDS = 90


@dataclasses.dataclass(frozen=True)
class Books:
    """What came of all calls; `tally.Ledger` explains each number."""

    calls: int
    failed: int
    lost: int
    twice: int
    renewed: int
    """States that ended with their pod, as those that are not durable do."""
    processes: list[str]
    notes: list[str]

    def __str__(self) -> str:
        return f"calls={self.calls} failed={self.failed} lost={self.lost} twice={self.twice}"

    @property
    def clean(self) -> bool:
        """Whether every call was answered and no state was lost or doubled."""
        return not (self.failed or self.lost or self.twice)


class Load:
    """The calls while they go on."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self._said: dict[str, Any] = {"calls": 0, "failed": 0}
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    @property
    def calls(self) -> int:
        """Calls so far, as told a second ago at most."""
        return int(self._said["calls"])

    def wait(self, more: int, *, seconds: float = 120) -> None:
        """Wait for so many more calls."""
        goal = self.calls + more
        until(f"{more} more calls", lambda: self._ended() or self.calls >= goal, seconds=seconds)
        if self._ended():
            raise shell.CommandError(f"the caller ended: {self._said}")

    def finish(self) -> Books:
        """Stop calling and return what came of it."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        self._thread.join(END_SECONDS)
        self._process.wait(10)
        if "processes" not in self._said:
            said = self._process.stderr.read() if self._process.stderr else ""
            raise shell.CommandError(f"the caller kept no books: {self._said} {said[-2000:]}")
        return Books(**self._said)

    def end(self) -> None:
        """End it whatever it does."""
        self._process.kill()
        self._process.wait(10)
        for stream in (self._process.stdin, self._process.stdout, self._process.stderr):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()

    def _ended(self) -> bool:
        return self._process.poll() is not None

    def _listen(self) -> None:
        for line in self._process.stdout or ():
            self._said = shell.parse_json(line)


@contextlib.contextmanager
def running(
    kubectl: Kubectl,
    namespace: str,
    image: str,
    url: str,
    *,
    contexts: int = 120,
    connections: int = 6,
) -> Iterator[Load]:
    """Call the sandbox behind `url` from a pod of its namespace until the block ends."""
    caller.start(kubectl, namespace, image, url)
    words = ("python3", "-c", SCRIPT.read_text(), url, str(contexts), str(connections))
    command = (kubectl.program, "--kubeconfig", kubectl.kubeconfig, "exec", "-i", "-n", namespace)
    process = subprocess.Popen(
        [*map(str, command), caller.NAME, "--", *words],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with _calling(process) as load:
        yield load


@contextlib.contextmanager
def outside(url: str, *, contexts: int = 60, connections: int = 4) -> Iterator[Load]:
    """Call the sandbox behind `url` from this machine, whatever becomes of API server and kubelet.

    The machine must be the node.
    """
    process = subprocess.Popen(
        [sys.executable, str(SCRIPT), url, str(contexts), str(connections)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with _calling(process) as load:
        yield load


@contextlib.contextmanager
def _calling(process: subprocess.Popen[str]) -> Iterator[Load]:
    load = Load(process)
    try:
        load.wait(1)
        yield load
    finally:
        load.end()
