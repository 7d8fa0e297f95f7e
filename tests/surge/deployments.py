"""What a Deployment wants and has, as a stream: nothing is asked again and again meanwhile."""

from __future__ import annotations

import contextlib
import dataclasses
import subprocess
import threading
import time
from collections.abc import Callable, Iterator

from tests.bed.kubectl import Kubectl, until

FORM = '{.spec.replicas} {.status.replicas} {.status.readyReplicas}{"\\n"}'


@dataclasses.dataclass(frozen=True)
class State:
    """A Deployment at a moment."""

    at: float
    """Unix time."""
    wanted: int
    pods: int
    """Those that leave are not counted."""
    ready: int


class Watched:
    """A Deployment, from now on."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self.states: list[State] = []
        threading.Thread(target=self._listen, daemon=True).start()

    def when(
        self, what: str, met: Callable[[State], bool], *, since: float, seconds: float
    ) -> float:
        """Wait for a state after a moment; return the Unix time at which it was first seen."""

        def first() -> float:
            return next((each.at for each in self.states if each.at >= since and met(each)), 0.0)

        try:
            return float(until(what, first, seconds=seconds))
        except TimeoutError as error:
            raise TimeoutError(f"{error}; {self.states[-1:]}") from None

    def _listen(self) -> None:
        for line in self._process.stdout or ():
            numbers = (int(each or 0) for each in line.rstrip("\n").split(" "))
            self.states.append(State(time.time(), *numbers))


@contextlib.contextmanager
def watched(kubectl: Kubectl, namespace: str, name: str) -> Iterator[Watched]:
    """Watch a Deployment until the block ends."""
    base = (kubectl.program, "--kubeconfig", kubectl.kubeconfig, "get", "deployment", name)
    words = ("-n", namespace, "--watch", f"-o=jsonpath={FORM}")
    with subprocess.Popen(
        [*map(str, base), *words],
        stdout=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            yield Watched(process)
        finally:
            process.kill()
