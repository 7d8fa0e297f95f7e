"""Small sandboxes for tests: plugins given as source text, objects as plain data."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from tests.bed.kubectl import Kubectl, until

COUNTER = """
from pluginsandbox.sdk import Plugin, function, slot


class Counter(Plugin):
    count = slot(int, default=0)

    @function
    def add(self, amount: int = 1) -> int:
        self.count.set(self.count.get() + amount)
        return self.count.get()
"""

TALLY = """
import os

from pluginsandbox.sdk import Plugin, function, slot

DURABLE = False
PROCESS = os.urandom(4).hex()


class Tally(Plugin):
    token = slot(str, default="", durable=DURABLE)
    count = slot(int, default=0, durable=DURABLE)

    @function
    def add(self) -> tuple[str, int, str]:
        if not self.token.get():
            self.token.set(os.urandom(8).hex())
        self.count.set(self.count.get() + 1)
        return self.token.get(), self.count.get(), PROCESS
"""

CRASHER = """
import ctypes

from pluginsandbox.sdk import Plugin, function


class Crasher(Plugin):
    @function
    def ping(self) -> str:
        return "pong"

    @function
    def crash(self) -> None:
        ctypes.string_at(0)
"""

LABEL = "pluginsandbox.dev/sandbox"
READY_SECONDS = 60


def source(name: str, files: Mapping[str, str], *, labelled: bool = True) -> dict[str, Any]:
    """Return a ConfigMap that holds a plugin's files."""
    labels = {"pluginsandbox.dev/source": "true"} if labelled else {}
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "labels": labels},
        "data": dict(files),
    }


def plugin(name: str, entry_point: str, **fields: Any) -> dict[str, Any]:
    """Return a plugin whose files are in the ConfigMap of the same name."""
    return {
        "name": name,
        "source": {"configMap": {"name": name}},
        "runtime": "Python",
        "entryPoint": entry_point,
        "limits": {"memory": "16Mi"},
        **fields,
    }


def sandbox(name: str, *plugins: Mapping[str, Any], **spec: Any) -> dict[str, Any]:
    """Return a PluginSandbox."""
    return {
        "apiVersion": "pluginsandbox.dev/v1alpha1",
        "kind": "PluginSandbox",
        "metadata": {"name": name},
        "spec": {"plugins": list(plugins), **spec},
    }


def counter(name: str = "counter", **spec: Any) -> list[dict[str, Any]]:
    """Return the smallest sandbox: one plugin that counts, and its source."""
    return [
        source("counter", {"counter.py": COUNTER}),
        sandbox(name, plugin("counter", "counter:Counter"), **spec),
    ]


def tally(name: str = "tally", **spec: Any) -> list[dict[str, Any]]:
    """Return a sandbox that `tally` can call, and its sources."""
    plugins = [plugin(each, "tally:Tally") for each in ("tally", "keep")]
    durable = TALLY.replace("DURABLE = False", "DURABLE = True")
    return [
        source("tally", {"tally.py": TALLY}),
        source("keep", {"tally.py": durable}),
        sandbox(name, *plugins, **spec),
    ]


def apply(kubectl: Kubectl, namespace: str, *objects: Mapping[str, Any]) -> None:
    """Apply objects to a namespace."""
    document = {"apiVersion": "v1", "kind": "List", "items": list(objects)}
    kubectl.apply(json.dumps(document), "-n", namespace)


def conditions(kubectl: Kubectl, namespace: str, name: str) -> dict[str, dict[str, Any]]:
    """Return the conditions of a sandbox by type, but none of an older generation."""
    found = kubectl.get("psb", name, "-n", namespace)
    generation = found["metadata"]["generation"]
    status = found.get("status", {})
    if status.get("observedGeneration") != generation:
        return {}
    return {each["type"]: each for each in status.get("conditions", [])}


def wait_for(
    kubectl: Kubectl,
    namespace: str,
    name: str,
    kind: str,
    status: str,
    reason: str | None = None,
    *,
    seconds: float = READY_SECONDS,
) -> dict[str, Any]:
    """Wait until a condition has a status, and a reason if one is given; return the condition."""

    def probe() -> dict[str, Any] | None:
        every = conditions(kubectl, namespace, name)
        found = every.get(kind, {})
        if found.get("status") == status and reason in (None, found.get("reason")):
            return found
        raise LookupError(f"conditions are {brief(every)}")

    what = f"{name}: {kind}={status}" + (f" {reason}" if reason else "")
    met: dict[str, Any] = until(what, probe, seconds=seconds)
    return met


def brief(every: Mapping[str, Mapping[str, Any]]) -> str:
    """Write conditions in one line each."""
    lines = (
        f"{kind}={each['status']} {each['reason']}: {each['message']}"
        for kind, each in every.items()
    )
    return "; ".join(lines) or "not there yet"


def owned(kubectl: Kubectl, namespace: str, name: str) -> Iterator[str]:
    """Return kind/name of all that carries the sandbox's label."""
    kinds = "configmaps,services,deployments,replicasets,pods,networkpolicies,poddisruptionbudgets"
    selector = f"{LABEL}={name}"
    for item in kubectl.get(kinds, "-n", namespace, "-l", selector)["items"]:
        yield f"{item['kind']}/{item['metadata']['name']}"
