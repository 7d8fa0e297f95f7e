"""`python -m tests.bed.rolling CALLS`: roll several pods again and again under load.

It ends with one line, `calls=… failed=… lost=… twice=…`, and exit status 1 unless all but the first
are 0.
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
import uuid

from tests.bed import load, platform, pods, sandboxes
from tests.bed.kubectl import Kubectl, until
from tests.bed.load import Books, Load
from tests.bed.platform import Platform

PODS = 3
ROLL_SECONDS = 180


def roll(
    cluster: Platform, namespace: str, calls: int, *, count: int = PODS, name: str = "tally"
) -> Books:
    """Roll a sandbox that serves, until there were so many calls and at least one roll-out.

    Args:
        cluster: With the operator installed.
        namespace: Where the sandbox is, ready and with so many pods.
        calls: Least number of calls.
        count: Pods.
        name: Of the sandbox.

    """
    kubectl = cluster.kubectl
    endpoint = str(kubectl.get("psb", name, "-n", namespace)["status"]["endpoint"])
    with load.running(kubectl, namespace, cluster.operator.name, endpoint) as calling:
        calling.wait(min(calls // 10, 1000))
        for turn in itertools.count(1):
            once(kubectl, namespace, name, count=count, turn=turn)
            print(f"{turn} roll-outs, {calling.calls} calls", file=sys.stderr, flush=True)
            if calling.calls >= calls:
                break
        _rest(calling)
        return calling.finish()


def once(kubectl: Kubectl, namespace: str, name: str, *, count: int, turn: int) -> None:
    """Change the template and wait until every pod is another one."""
    before = {pods.name_of(each) for each in pods.of(kubectl, namespace, name)}
    change = {"spec": {"contexts": {"deadlineSeconds": 3600 + turn}}}
    kubectl("patch", "psb", name, "-n", namespace, "--type=merge", "-p", json.dumps(change))

    def renewed() -> bool:
        now = {pods.name_of(each) for each in pods.settled(kubectl, namespace, name, count)}
        if now & before:
            raise LookupError(f"{len(now & before)} of the old pods are left")
        return True

    until("only new pods", renewed, seconds=ROLL_SECONDS, every=1)


def _rest(calling: Load) -> None:
    """Let the last pods serve a while."""
    calling.wait(500)


def _main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bed.rolling", description=__doc__)
    parser.add_argument("calls", type=int)
    calls = parser.parse_args().calls
    cluster = platform.prepare()
    cluster.install()
    kubectl, namespace = cluster.kubectl, f"rolling-{uuid.uuid4().hex[:6]}"
    kubectl("create", "namespace", namespace)
    try:
        sandboxes.apply(kubectl, namespace, *sandboxes.tally(replicas=PODS))
        sandboxes.wait_for(kubectl, namespace, "tally", "Ready", "True")
        until("all pods", lambda: pods.settled(kubectl, namespace, "tally", PODS), seconds=120)
        books = roll(cluster, namespace, calls)
    finally:
        kubectl("delete", "namespace", namespace, "--wait=false")
    for note in books.notes:
        print(note, file=sys.stderr)
    print(books)
    return 0 if books.clean else 1


if __name__ == "__main__":
    sys.exit(_main())
