"""The pods of a sandbox: counted, hurried, run programs in, and killed as no one would politely."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any

from tests.bed import sandboxes
from tests.bed.kubectl import Kubectl, until

SECONDS = 120


def of(kubectl: Kubectl, namespace: str, name: str) -> list[dict[str, Any]]:
    """Return all pods of a sandbox, leaving ones, too."""
    selector = f"{sandboxes.LABEL}={name}"
    found: list[dict[str, Any]] = kubectl.get("pods", "-n", namespace, "-l", selector)["items"]
    return found


def name_of(pod: dict[str, Any]) -> str:
    """Return a pod's name."""
    return str(pod["metadata"]["name"])


def scale(
    kubectl: Kubectl, namespace: str, name: str, count: int, *, keyless: float = 0
) -> list[dict[str, Any]]:
    """Scale a sandbox, wait until exactly so many pods are there and ready; return them.

    Args:
        kubectl: Of the cluster.
        namespace: Of the sandbox.
        name: Of the sandbox.
        count: Pods.
        keyless: Seconds for which a first pod stays without the key. By itself its kubelet brings
            it within 90 s; a touched pod is looked at at once.

    """
    kubectl("scale", f"psb/{name}", "-n", namespace, f"--replicas={count}")
    began = time.monotonic()

    def there() -> list[dict[str, Any]]:
        if time.monotonic() >= began + keyless:
            hurry(kubectl, namespace, name)
        return settled(kubectl, namespace, name, count)

    found: list[dict[str, Any]] = until(f"{count} pods", there, seconds=SECONDS, every=1)
    return found


def settled(kubectl: Kubectl, namespace: str, name: str, count: int) -> list[dict[str, Any]]:
    """Return the pods if exactly so many are there and ready, or raise LookupError."""
    status = kubectl.get("psb", name, "-n", namespace).get("status", {})
    found = of(kubectl, namespace, name)
    numbers = [status.get(each) for each in ("replicas", "readyReplicas", "desiredReplicas")]
    if numbers != [count] * 3 or len(found) != count:
        ready = sandboxes.conditions(kubectl, namespace, name).get("Ready", {}).get("message")
        raise LookupError(f"replicas, ready, desired: {numbers}; {len(found)} pods; {ready}")
    return found


def hurry(kubectl: Kubectl, namespace: str, name: str) -> None:
    """Have the kubelet look at a sandbox's pods now, and so at their Secrets."""
    selector = f"{sandboxes.LABEL}={name}"
    stamp = f"example.com/hurry={os.urandom(4).hex()}"
    kubectl("annotate", "pods", "-n", namespace, "-l", selector, "--overwrite", stamp)


def python(kubectl: Kubectl, namespace: str, pod: str, script: str, *words: str) -> str:
    """Run a Python script in a pod; return what it printed."""
    return kubectl("exec", "-n", namespace, pod, "--", "python3", "-c", script, *words)


def kill_host(pod: dict[str, Any]) -> None:
    """End a pod's host with SIGKILL, from outside; the node must be this machine.

    Raises:
        LookupError: It does not run here.

    """
    mark = f"POD_IP={pod['status']['podIP']}\0".encode()
    for process in Path("/proc").iterdir():
        if not process.name.isdecimal():
            continue
        try:
            mine = mark in (process / "environ").read_bytes() + b"\0"
            # Its zygote and workers have a command of their own, and may have lower numbers.
            host = b"/pluginsandbox\0host\0" in (process / "cmdline").read_bytes()
        except OSError:
            continue
        if mine and host:
            os.kill(int(process.name), signal.SIGKILL)
            return
    raise LookupError(f"no host of pod {name_of(pod)} on this machine")
