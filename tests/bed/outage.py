"""`make outage-pods COUNT=n`: kill API server, etcd and kubelet of the local node under real pods.

A sandbox of two pods is called from outside all the while. Pods live on without any of the three:
every call must be answered, no state lost, no pod be another one or started again, and once all is
back the operator must do what is asked of it. It ends with one line for all faults.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import signal
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.bed import load, platform, pods, sandboxes
from tests.bed.kubectl import Kubectl, until
from tests.bed.load import Books, Load
from tests.bed.platform import Platform
from tests.cluster import process
from tests.cluster.choice import choose
from tests.cluster.layout import Layout
from tests.cluster.local import LocalCluster

VICTIMS = ("kube-apiserver", "kubelet", "etcd")
PODS = 2
AWAY_SECONDS = 8.0
NAME = "tally"


@dataclasses.dataclass
class Outcome:
    """What came of a fault, or of several.

    Args:
        calls: Calls meanwhile.
        answered: Of these, those that were answered with a result.
        wrong: States lost or doubled, pods replaced or restarted.
        seconds: From each return until what was asked for then was rolled out.

    """

    calls: int = 0
    answered: int = 0
    wrong: list[str] = dataclasses.field(default_factory=list)
    seconds: list[float] = dataclasses.field(default_factory=list)

    def add(self, books: Books) -> None:
        """Take in the books of a caller."""
        self.calls += books.calls
        self.answered += books.calls - books.failed
        if not books.clean or books.renewed:
            self.wrong += [f"{books} renewed={books.renewed}", *books.notes]

    def __str__(self) -> str:
        """Write all of it in one line."""
        share = self.answered / max(1, self.calls)
        return (
            f"calls={self.calls} answered={self.answered} availability={share:.4%} "
            f"wrong={len(self.wrong)} converged within {max(self.seconds, default=0):.1f}s"
        )


def is_local() -> bool:
    """Tell whether the cluster is a node of our own, whose processes may be killed."""
    return isinstance(choose(), LocalCluster)


@contextmanager
def killed(name: str) -> Iterator[None]:
    """Kill a process of the local node; the cluster's own repair brings it back at the end."""
    pid = process.running(Layout(), name)
    if pid is None:
        raise LookupError(f"{name} does not run")
    try:
        os.kill(pid, signal.SIGKILL)
        yield
    finally:
        LocalCluster().up()


def endure(cluster: Platform, namespace: str, victims: tuple[str, ...], outcome: Outcome) -> None:
    """Kill one after the other under a sandbox that serves, then ask the operator for something.

    Args:
        cluster: With the operator installed.
        namespace: Where the sandbox `tally` is ready, with so many pods as `PODS`.
        victims: Names of processes of the node.
        outcome: Takes what comes of it.

    """
    kubectl = cluster.kubectl
    address = kubectl.get("service", NAME, "-n", namespace)["spec"]["clusterIP"]
    for victim in victims:
        before = _lives(kubectl, namespace)
        with load.outside(f"http://{address}:8080") as calling:
            calling.wait(200)
            with killed(victim):
                _keep_calling(calling)
            calling.wait(200)
            outcome.add(calling.finish())
        after = _lives(kubectl, namespace)
        if after != before:
            outcome.wrong.append(f"{victim}: the pods were {before} and are {after}")
        outcome.seconds.append(_ask(kubectl, namespace))
        print(f"{victim} killed: {outcome}", file=sys.stderr, flush=True)


def prepare(cluster: Platform, namespace: str) -> None:
    """Make the sandbox and wait for its pods."""
    kubectl = cluster.kubectl
    sandboxes.apply(kubectl, namespace, *sandboxes.tally(NAME, replicas=PODS))
    sandboxes.wait_for(kubectl, namespace, NAME, "Ready", "True")

    def there() -> list[dict[str, Any]]:
        pods.hurry(kubectl, namespace, NAME)
        return pods.settled(kubectl, namespace, NAME, PODS)

    until("all pods", there, seconds=120, every=1)


def _keep_calling(calling: Load) -> None:
    """Let the calls go on for as long as the process is away."""
    end = time.monotonic() + AWAY_SECONDS
    while time.monotonic() < end:
        calling.wait(20)


def _lives(kubectl: Kubectl, namespace: str) -> list[tuple[str, int]]:
    return sorted(
        (each["metadata"]["uid"], each["status"]["containerStatuses"][0]["restartCount"])
        for each in pods.of(kubectl, namespace, NAME)
    )


def _ask(kubectl: Kubectl, namespace: str) -> float:
    """Ask for another Service's caller, which rolls nothing out; return when it is so."""
    label = uuid.uuid4().hex[:8]
    allow = [{"podSelector": {"matchLabels": {"app": label}}}]
    change = {"spec": {"network": {"allowFrom": allow}}}
    began = time.monotonic()
    kubectl("patch", "psb", NAME, "-n", namespace, "--type=merge", "-p", json.dumps(change))

    def carried_out() -> bool:
        policy = kubectl.get("networkpolicy", NAME, "-n", namespace)
        return label in json.dumps(policy["spec"])

    until("the operator at work", carried_out, seconds=60)
    sandboxes.wait_for(kubectl, namespace, NAME, "Ready", "True")
    return time.monotonic() - began


def _main() -> int:
    parser = argparse.ArgumentParser(prog="make outage-pods", description=__doc__)
    parser.add_argument("--count", type=int, default=9, help="faults, a third of each kind")
    count = parser.parse_args().count
    cluster = platform.prepare()
    cluster.install()
    outcome, namespace = Outcome(), f"outage-{uuid.uuid4().hex[:6]}"
    cluster.kubectl("create", "namespace", namespace)
    try:
        prepare(cluster, namespace)
        endure(cluster, namespace, tuple(VICTIMS[n % 3] for n in range(count)), outcome)
    finally:
        cluster.kubectl("delete", "namespace", namespace, "--wait=false")
    for each in outcome.wrong:
        print(each, file=sys.stderr)
    print(outcome)
    return 0 if outcome.calls == outcome.answered and not outcome.wrong else 1


if __name__ == "__main__":
    sys.exit(_main())
