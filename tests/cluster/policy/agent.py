"""The process that keeps the node's policy table right."""

from __future__ import annotations

import queue
import sys
import threading
import time
from functools import partial

from tests.cluster.layout import Layout
from tests.cluster.policy.compiler import compile_table
from tests.cluster.policy.model import Cluster, Pod
from tests.cluster.policy.watch import Objects, follow
from tests.cluster.system import run

_PATHS = {
    "pods": "/api/v1/pods",
    "namespaces": "/api/v1/namespaces",
    "policies": "/apis/networking.k8s.io/v1/networkpolicies",
}
# Many pods that start at once become one change of the table.
_GATHER_SECONDS = 0.05


def read_cluster(state: dict[str, Objects]) -> Cluster:
    """What the compiler needs, from the objects of each kind."""
    pods = (Pod.read(found) for found in state["pods"].values())
    namespaces = (found["metadata"] for found in state["namespaces"].values())
    return Cluster(
        pods=tuple(pod for pod in pods if pod is not None),
        namespaces={each["name"]: each.get("labels", {}) for each in namespaces},
        policies=tuple(state["policies"].values()),
    )


def main() -> None:
    """Follow the API server and apply the table whenever it changes; never returns."""
    layout = Layout()
    changes: queue.SimpleQueue[tuple[str, Objects]] = queue.SimpleQueue()
    for kind, path in _PATHS.items():
        tell = partial(_tell, changes, kind)
        threading.Thread(target=follow, args=(layout, path, tell), daemon=True).start()
    state: dict[str, Objects] = {}
    applied = ""
    while True:
        kind, objects = changes.get()
        state[kind] = objects
        time.sleep(_GATHER_SECONDS)
        while not changes.empty():
            kind, objects = changes.get()
            state[kind] = objects
        if len(state) == len(_PATHS) and (table := compile_table(read_cluster(state))) != applied:
            began = time.monotonic()
            run("nft", "-f", "-", text=table)
            applied = table
            took = (time.monotonic() - began) * 1000
            print(f"applied {len(table)} bytes in {took:.0f} ms", file=sys.stderr, flush=True)


def _tell(changes: queue.SimpleQueue[tuple[str, Objects]], kind: str, objects: Objects) -> None:
    changes.put((kind, objects))


if __name__ == "__main__":
    main()
