"""A sandbox that follows its load, and a Deployment of the same pods that a hand scales."""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import json
import time
import uuid
from collections.abc import Iterator, Sequence
from typing import Any

from tests.bed import pods, sandboxes
from tests.bed.kubectl import Kubectl, until
from tests.bed.platform import Platform
from tests.bench import table
from tests.surge import calling, sessions
from tests.surge.calling import Calling
from tests.surge.deployments import State, Watched, watched
from tests.surge.picture import Point

NAME = "surge"
MORE = 2
"""Callers more than the policy allows pods: each takes a moment between its calls, so that as many
callers as pods are at times one call too few for the last pod."""
SECONDS = 420
DOWN_SECONDS = 240
QUIET_SECONDS = 2.0
"""Between one and the other."""
POLICY = {
    "metrics": [{"type": "Concurrency", "target": 1}],
    "rates": {"downPercent": 100},
}
RESTER = (
    sandboxes.TALLY.replace("DURABLE = False", "DURABLE = True")
    .replace("        if not", f"        time.sleep({sessions.CALL_SECONDS})\n        if not")
    .replace("import os", "import os\nimport time")
)


class CutOffError(Exception):
    """Whoever started this will not wait any longer."""


@dataclasses.dataclass(frozen=True)
class Run:
    """Few to many by hand, few to many by the load, and back; seconds."""

    plain: float
    up: float
    decided: float
    down: float | None
    """None if it did not come to its end."""
    waited: float
    """The longest that a call waited."""
    calls: int
    failed: int
    points: Sequence[Point]


class Arena:
    """Both, at few pods each.

    Args:
        kubectl: Of the cluster.
        plain: Namespace of the Deployment that nobody looks after.
        ours: Namespace of the sandbox.
        calls: The load.
        numbers: Few and many.

    """

    def __init__(
        self, kubectl: Kubectl, plain: str, ours: str, calls: Calling, numbers: tuple[int, int]
    ) -> None:
        self._kubectl = kubectl
        self._plain = plain
        self._ours = ours
        self._calls = calls
        self._few, self._many = numbers

    def run(self) -> Run:
        """Scale by hand and back, then by the load and back."""
        plain = self._by_hand()
        time.sleep(QUIET_SECONDS)
        run = self._by_load(plain)
        time.sleep(QUIET_SECONDS)
        return run

    def finish(self) -> dict[str, Any]:
        """End the load and return its books."""
        return self._calls.finish()

    def _by_hand(self) -> float:
        with watched(self._kubectl, self._plain, NAME) as seen:
            seen.when("the plain pods", self._settled(self._few), since=0, seconds=SECONDS)
            began = time.time()
            self._scale(self._many)
            ready = seen.when("all", self._settled(self._many), since=began, seconds=SECONDS)
            table.progress(f"{self._many} pods by hand: {ready - began:.1f} s")
            self._scale(self._few)
            self._gone(self._plain)
        return ready - began

    def _by_load(self, plain: float) -> Run:
        with watched(self._kubectl, self._ours, NAME) as seen:
            seen.when("few", self._settled(self._few), since=0, seconds=SECONDS)
            before = len(self._calls.looks)
            began = self._calls.step("up")
            decided = seen.when(
                "the decision",
                lambda state: state.wanted >= self._many,
                since=began,
                seconds=SECONDS,
            )
            ready = seen.when(
                "all", lambda state: state.ready >= self._many, since=began, seconds=SECONDS
            )
            table.progress(f"{self._many} pods by the load: {ready - began:.1f} s")
            time.sleep(5)  # of calls that no longer wait, to be seen
            ebbed = self._calls.step("down")
            down = self._back(seen, ebbed)
            points = _points(began, seen, self._calls.looks[before:])
        looks = self._calls.looks[before:]
        return Run(
            plain=plain,
            up=ready - began,
            decided=decided - began,
            down=down,
            waited=max((each for look in looks for each in look.waited[-1:]), default=0.0),
            calls=looks[-1].calls - looks[0].calls,
            failed=looks[-1].failed - looks[0].failed,
            points=points,
        )

    def _back(self, seen: Watched, since: float) -> float | None:
        """Return how long it took until the pods were few, and wait until the others are gone."""
        try:
            few = seen.when("few", self._settled(self._few), since=since, seconds=DOWN_SECONDS)
            self._gone(self._ours)
        except (TimeoutError, CutOffError) as error:
            table.progress(f"not back at {self._few} pods: {error}")
            return None
        table.progress(f"{self._few} pods again: {few - since:.1f} s")
        return few - since

    @staticmethod
    def _settled(count: int) -> Any:
        def there(state: State) -> bool:
            return state.wanted == state.pods == state.ready == count

        return there

    def _scale(self, count: int) -> None:
        self._kubectl("scale", f"deployment/{NAME}", "-n", self._plain, f"--replicas={count}")

    def _gone(self, namespace: str) -> None:
        """Wait until those that leave are gone: they would take CPU from what is measured next."""

        def few() -> bool:
            return len(pods.of(self._kubectl, namespace, NAME)) == self._few

        until("few pods", few, seconds=SECONDS, every=2)


def _points(began: float, seen: Watched, looks: Sequence[calling.Look]) -> list[Point]:
    points = []
    for look in looks:
        state = next((each for each in reversed(seen.states) if each.at <= look.at), None)
        if state is not None:
            longest = look.waited[-1 - len(look.waited) // 100] if look.waited else 0.0
            points.append(Point(look.at - began, state.wanted, state.ready, look.waiting, longest))
    return points


@contextlib.contextmanager
def arena(cluster: Platform, few: int, many: int) -> Iterator[Arena]:
    """Bring both up at few pods, with few callers; take all away in the end."""
    kubectl, mark = cluster.kubectl, uuid.uuid4().hex[:8]
    ours, plain = f"surge-{mark}", f"plain-{mark}"
    try:
        for namespace in (ours, plain):
            kubectl("create", "namespace", namespace)
        sandboxes.apply(kubectl, ours, *_objects(few, many))
        until("few pods", lambda: pods.settled(kubectl, ours, NAME, few), seconds=SECONDS)
        _copy(kubectl, ours, plain)
        table.progress(f"{few} pods of both")
        endpoint = str(kubectl.get("psb", NAME, "-n", ours)["status"]["endpoint"])
        callers = (few - 1, many + MORE)
        with calling.running(kubectl, ours, cluster.operator.name, endpoint, *callers) as calls:
            yield Arena(kubectl, plain, ours, calls, (few, many))
    finally:
        kubectl("delete", "namespace", ours, plain, "--wait=false")


def _objects(few: int, many: int) -> list[dict[str, Any]]:
    limits = {"memory": "16Mi", "callTimeoutMilliseconds": 10_000}
    requests = {"cpu": "1m", "memory": "16Mi"}
    return [
        sandboxes.source("keep", {"tally.py": RESTER}),
        sandboxes.sandbox(
            NAME,
            sandboxes.plugin("keep", "tally:Tally", limits=limits),
            scaling={"minReplicas": few, "maxReplicas": many, **POLICY},
            host={"resources": {"requests": requests}},
        ),
    ]


def _copy(kubectl: Kubectl, ours: str, plain: str) -> None:
    """Make the sandbox's Deployment once more, and the snapshot that it names."""
    live = kubectl.get("deployment", NAME, "-n", ours)
    template = copy.deepcopy(live["spec"]["template"])
    for volume in template["spec"]["volumes"]:
        name = volume.get("configMap", {}).get("name")
        if name:
            found = kubectl.get("configmap", name, "-n", ours)
            body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}}
            kubectl.apply(json.dumps({**body, "data": found["data"]}), "-n", plain)
    spec = {name: live["spec"][name] for name in ("replicas", "selector")}
    head = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": NAME}}
    kubectl.apply(json.dumps({**head, "spec": {**spec, "template": template}}), "-n", plain)
