"""A cluster as kubectl sees it."""

from __future__ import annotations

import contextlib
import dataclasses
import re
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tests.bed import shell

FORWARDING = re.compile(r"Forwarding from 127\.0\.0\.1:(\d+) ->")


@dataclasses.dataclass(frozen=True)
class Kubectl:
    """kubectl with a kubeconfig."""

    program: Path
    kubeconfig: Path

    def __call__(self, *words: str | Path, stdin: str | None = None, timeout: float = 120) -> str:
        """Run kubectl and return what it printed; CommandError when it fails."""
        return self.run(*words, stdin=stdin, timeout=timeout).stdout

    def run(
        self,
        *words: str | Path,
        stdin: str | None = None,
        timeout: float = 120,
        check: bool = True,
    ) -> subprocess.CompletedProcess[str]:
        """Run kubectl; see `shell.run`."""
        base = (self.program, "--kubeconfig", self.kubeconfig)
        return shell.run(*base, *words, stdin=stdin, timeout=timeout, check=check)

    def get(self, *words: str) -> Any:
        """Return an object, or a list of them, as decoded JSON."""
        return shell.parse_json(self("get", *words, "--output=json"))

    def find(self, *words: str) -> Any:
        """Return an object as decoded JSON, or None when there is none."""
        printed = self("get", *words, "--ignore-not-found", "--output=json")
        return shell.parse_json(printed) if printed.strip() else None

    def apply(self, manifest: str, *words: str) -> str:
        """Apply YAML or JSON text on the server's side."""
        return self(
            "apply", "--server-side", "--force-conflicts", *words, "-f", "-", stdin=manifest
        )

    def delete(self, *words: str, timeout: float = 120) -> str:
        """Delete and wait until it is gone; nothing there is no error."""
        return self("delete", "--ignore-not-found", "--wait=true", *words, timeout=timeout)

    @contextlib.contextmanager
    def forward(self, namespace: str, target: str, port: int) -> Iterator[int]:
        """Forward a port of a pod or Service to a free port on the loopback address."""
        command = (self.program, "--kubeconfig", self.kubeconfig, "-n", namespace)
        process = subprocess.Popen(
            [*map(str, command), "port-forward", target, f":{port}"],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            text=True,
        )
        # It says a word for each connection, and would wait for a reader after two thousand.
        drain = threading.Thread(target=_read_all, args=(process,), daemon=True)
        try:
            port = _forwarded_port(process, target)
            drain.start()
            yield port
        finally:
            process.terminate()
            process.wait(timeout=10)
            if drain.ident is not None:
                drain.join()
            if process.stdout is not None:
                process.stdout.close()


def _read_all(process: subprocess.Popen[str]) -> None:
    for _ in process.stdout or ():
        pass


def _forwarded_port(process: subprocess.Popen[str], target: str) -> int:
    said = []
    for line in process.stdout or ():
        said.append(line)
        if found := FORWARDING.search(line):
            return int(found.group(1))
    raise shell.CommandError(f"kubectl port-forward {target}: {''.join(said).strip()}")


def until(what: str, probe: Callable[[], Any], *, seconds: float = 60, every: float = 0.1) -> Any:
    """Poll until `probe` returns something true; return it.

    Raises:
        TimeoutError: It did not within `seconds`; the message says `what` was awaited and what the
            probe last returned or raised.

    """
    deadline = time.monotonic() + seconds
    while True:
        try:
            value = probe()
        except (AssertionError, LookupError, OSError, shell.CommandError) as error:
            value, last = None, repr(error)
        else:
            last = repr(value)
        if value:
            return value
        if time.monotonic() >= deadline:
            raise TimeoutError(f"{what}: not within {seconds:.0f} s; last seen: {last[:1500]}")
        time.sleep(every)
