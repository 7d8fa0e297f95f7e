"""The callers' pod as the bench sees it: `sessions` runs there, and tells what it sees."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import subprocess
import threading
from collections.abc import Iterator
from typing import Any

from tests.bed import caller, shell
from tests.bed.kubectl import Kubectl, until

BOOT = """
import sys, types
for name in ("tests", "tests.bed", "tests.bed.tally"):
    sys.modules[name] = types.ModuleType(name)
exec(sys.argv.pop(1), sys.modules["tests.bed.tally"].__dict__)
exec(sys.argv.pop(1))
"""
SCRIPTS = (shell.REPOSITORY / "tests/bed/tally.py", shell.REPOSITORY / "tests/surge/sessions.py")
END_SECONDS = 120
# Over a WebSocket kubectl gives the callers up for one ping that a busy machine was late with.
STREAM = {"KUBECTL_REMOTE_COMMAND_WEBSOCKETS": "false"}


@dataclasses.dataclass(frozen=True)
class Look:
    """Half a second of the callers."""

    at: float
    """Unix time."""
    waited: list[float]
    """Seconds that each answered call had waited for."""
    calls: int
    failed: int
    waiting: int


class Calling:
    """The callers while they call."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self._steps: dict[str, float] = {}
        self._books: dict[str, Any] | None = None
        self.looks: list[Look] = []
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def step(self, word: str) -> float:
        """Make the callers many, `up`, or few, `down`; return the Unix time at which they were."""
        self._steps.pop(word, None)
        self._say(word + "\n")
        return float(until(word, lambda: self._steps.get(word), seconds=30, every=0.02))

    def finish(self) -> dict[str, Any]:
        """Let all sessions end and return the books.

        Raises:
            CommandError: There are none.

        """
        if self._process.stdin is not None:
            self._process.stdin.close()
        self._thread.join(END_SECONDS)
        if self._books is None:
            said = self._process.stderr.read() if self._process.stderr else ""
            raise shell.CommandError(f"the callers kept no books: {said[-2000:]}")
        return self._books

    def _say(self, text: str) -> None:
        if self._process.stdin is not None:
            self._process.stdin.write(text)
            self._process.stdin.flush()

    def _listen(self) -> None:
        for line in self._process.stdout or ():
            told = json.loads(line)
            if "at" in told:
                self.looks.append(Look(**told))
            elif "books" in told:
                self._books = told["books"]
            else:
                self._steps |= told


@contextlib.contextmanager
def running(
    kubectl: Kubectl, namespace: str, image: str, url: str, few: int, many: int
) -> Iterator[Calling]:
    """Call from a pod of the namespace until the block ends."""
    caller.start(kubectl, namespace, image, url)
    texts = (each.read_text(encoding="utf-8") for each in SCRIPTS)
    words = (caller.NAME, "--", "python3", "-c", BOOT, *texts, url, str(few), str(many))
    command = (kubectl.program, "--kubeconfig", kubectl.kubeconfig, "exec", "-i", "-n", namespace)
    with subprocess.Popen(
        [*map(str, command), *words],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | STREAM,
        start_new_session=True,  # whoever ends the bench by its group still gets the books
    ) as process:
        calling = Calling(process)
        try:
            until("calls", lambda: calling.looks and calling.looks[-1].calls >= few, seconds=60)
            yield calling
        finally:
            process.kill()
