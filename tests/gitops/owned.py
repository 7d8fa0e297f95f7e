"""What Git owns of sandboxes, as every event of a watch had it."""

from __future__ import annotations

import collections
import contextlib
import itertools
import subprocess
import threading
from collections.abc import Iterator

from tests.bed.kubectl import Kubectl

PATHS = ("generation", "labels", "annotations", "finalizers", "ownerReferences")
TEMPLATE = "".join(
    ("{.metadata.name}", *(f"|{{.metadata.{path}}}" for path in PATHS), "|{.spec}", '{"\\n"}')
)


class Owned:
    """Keeps every text that the watched fields of a sandbox ever had."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self._texts: dict[str, list[str]] = collections.defaultdict(list)
        self.events = 0
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    @property
    def changes(self) -> list[str]:
        """What each text was replaced by, for the eye."""
        return [
            f"{name}: {before} -> {after}"
            for name, texts in self._texts.items()
            for before, after in itertools.pairwise(texts)
        ]

    def _listen(self) -> None:
        for line in self._process.stdout or ():
            name, _, text = line.partition("|")
            self.events += 1
            if self._texts[name][-1:] != [text]:
                self._texts[name].append(text)


@contextlib.contextmanager
def watching(kubectl: Kubectl, namespace: str) -> Iterator[Owned]:
    """Watch the sandboxes of a namespace until the block ends."""
    base = (kubectl.program, "--kubeconfig", kubectl.kubeconfig, "get", "psb", "--watch")
    process = subprocess.Popen(
        [*map(str, base), "-n", namespace, f"--output=jsonpath={TEMPLATE}"],
        stdout=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
        text=True,
    )
    owned = Owned(process)
    try:
        yield owned
    finally:
        process.kill()
        process.wait()
        owned._thread.join()
        if process.stdout is not None:
            process.stdout.close()
