"""A watch by kubectl, each event as a line of fields: no polling, so that waiting takes no CPU."""

from __future__ import annotations

import contextlib
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence

from tests.bed.kubectl import Kubectl

SEPARATOR = "|"  # kubectl would lay tabs out as columns


class Lines:
    """Keeps the fields of every event, and when it came."""

    def __init__(self, process: subprocess.Popen[str], fields: int) -> None:
        self._process = process
        self._fields = fields
        self._seen: list[tuple[float, list[str]]] = []
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    @property
    def seen(self) -> list[tuple[float, list[str]]]:
        """All events, oldest first: monotonic seconds, and the fields.

        Raises:
            RuntimeError: The watch ended.

        """
        if self._process.poll() is not None:
            raise RuntimeError("a watch ended before its time")
        return list(self._seen)

    def end(self) -> None:
        """Stop watching."""
        self._process.kill()
        self._process.wait()
        self._thread.join()
        if self._process.stdout is not None:
            self._process.stdout.close()

    def _listen(self) -> None:
        for line in self._process.stdout or ():
            fields = line.rstrip("\n").split(SEPARATOR, self._fields - 1)
            if len(fields) == self._fields:
                self._seen.append((time.monotonic(), fields))


@contextlib.contextmanager
def watching(kubectl: Kubectl, namespace: str, kind: str, paths: Sequence[str]) -> Iterator[Lines]:
    """Watch all objects of a kind in a namespace until the block ends.

    Args:
        kubectl: Of the cluster.
        namespace: Of the objects.
        kind: Must be known to the cluster.
        paths: Of the fields, in JSONPath; only the last may hold a separator.

    """
    template = SEPARATOR.join(f"{{.{path}}}" for path in paths) + '{"\\n"}'
    base = (kubectl.program, "--kubeconfig", kubectl.kubeconfig, "get", kind, "--watch")
    process = subprocess.Popen(
        [*map(str, base), "-n", namespace, f"--output=jsonpath={template}"],
        stdout=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
        text=True,
    )
    lines = Lines(process, len(paths))
    try:
        yield lines
    finally:
        lines.end()
