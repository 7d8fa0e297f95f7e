"""The operator in the test's own loop, against the real API server, in a namespace of its own.

Pods are scheduled nowhere; the test plays their kubelet, so that every step can be held, failed and
counted, and a loopback server plays their host.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

from pluginsandbox.api import crd
from pluginsandbox.controller import connection, kinds
from pluginsandbox.controller.clocks import Clocks
from pluginsandbox.controller.cluster import APPLY, MERGE, Cluster
from pluginsandbox.controller.errors import ControllerError
from pluginsandbox.controller.kinds import Kind
from pluginsandbox.controller.operator import Operator
from pluginsandbox.controller.settings import Settings
from pluginsandbox.telemetry.operator_metrics import OperatorMetrics
from tests.integration.operator import rules
from tests.integration.operator.hosts import FakeHosts

Body = dict[str, Any]

NOWHERE = {"pluginsandbox.test/node": "none"}
SANDBOX = "shop"
ACCOUNT = Kind("ServiceAccount", "", "v1", "serviceaccounts")
DEFINITION = Kind(
    "CustomResourceDefinition",
    "apiextensions.k8s.io",
    "v1",
    "customresourcedefinitions",
    namespaced=False,
)


async def eventually(
    what: str, probe: Callable[[], Awaitable[Any]], *, seconds: float = 20.0, every: float = 0.03
) -> Any:
    """Poll until `probe` gives something true; return it."""
    deadline = asyncio.get_running_loop().time() + seconds
    last: Any = None
    while asyncio.get_running_loop().time() < deadline:
        last = await probe()
        if last:
            return last
        await asyncio.sleep(every)
    raise TimeoutError(f"{what}: not within {seconds:.0f} s; last seen: {last!r}")


async def install_kind(api: Cluster) -> None:
    """Install the PluginSandbox kind and wait until it is served."""
    path = DEFINITION.path("", crd.NAME)
    query = {"fieldManager": "test", "force": "true"}
    await api._insist("PATCH", path, query, crd.definition(), APPLY)

    async def served() -> bool:
        return await api.serves(kinds.SANDBOX)

    await eventually("the kind", served)


class Bed:
    """An API server, a namespace, and what a test does in it."""

    def __init__(self, kubeconfig: Path, namespace: str) -> None:
        self.kubeconfig = kubeconfig
        self.namespace = namespace
        self.api: Cluster
        self.settings = Settings.model_validate(
            {
                "allow": [{"fields": ["pod.nodeSelector"]}],
                "hostImage": "pluginsandbox-test.invalid/host:none",
                "hostImagePullPolicy": "Never",
                "operator": {"namespace": namespace},
            }
        )
        self.kubelet = Kubelet(self)
        self.hosts = FakeHosts()
        self.statuses = 0
        """Statuses that operators of this bed have written."""

    @contextlib.asynccontextmanager
    async def open(self) -> AsyncIterator[Bed]:
        """Connect."""
        self.api = Cluster(await connection.connect(self.kubeconfig), OperatorMetrics())
        try:
            yield self
        finally:
            await self.api.close()

    async def make_namespace(self) -> None:
        """Make the namespace, with the account that pods need."""
        await self.write("POST", kinds.NAMESPACE.path(""), {"metadata": {"name": self.namespace}})

        async def account() -> Any:
            return await self.api.get(ACCOUNT, self.namespace, "default")

        await eventually("the default ServiceAccount", account)

    async def drop_namespace(self) -> None:
        """Delete the namespace without waiting for its end."""
        await self.write("DELETE", kinds.NAMESPACE.path("", self.namespace), {})

    async def write(
        self,
        method: str,
        path: str,
        body: Body,
        content: str = "application/json",
        **query: str,
    ) -> Body:
        """Send any request, as the administrator."""
        return await self.api._insist(method, path, query, body, content)

    @contextlib.asynccontextmanager
    async def operator(
        self,
        settings: Settings | None = None,
        kubeconfig: Path | None = None,
        clocks: Clocks | None = None,
        namespaces: tuple[str, ...] | None = None,
    ) -> AsyncIterator[Operator]:
        """Run an operator; stopping it is part of the test.

        Args:
            settings: Instead of the bed's.
            kubeconfig: Of another way to the API server than the bed's own.
            clocks: The operator's.
            namespaces: That it watches, instead of the bed's own; empty = all.

        """
        client = await connection.connect(kubeconfig or self.kubeconfig)
        operator = Operator(
            settings or self.settings,
            client,
            namespaces=(self.namespace,) if namespaces is None else namespaces,
            host="127.0.0.1",
            port=0,
            clocks=clocks,
        )
        wrong = self._watch_statuses(operator)
        stop = asyncio.Event()
        task = asyncio.create_task(operator.run(stop))
        try:
            yield operator
        finally:
            stop.set()
            await asyncio.wait_for(task, 30)
        assert not wrong, wrong

    def _watch_statuses(self, operator: Operator) -> list[str]:
        """Hold every status that the operator writes to the rules; return where it broke one."""
        write = operator._cluster.patch_status
        wrong: list[str] = []

        async def watched(
            kind: Kind, namespace: str, name: str, status: Mapping[str, Any], version: str
        ) -> Body:
            before = (operator.store.get(kind, namespace, name) or {}).get("status") or {}
            answer = await write(kind, namespace, name, status, version)
            generation = answer["metadata"]["generation"]
            found = list(rules.broken(before, answer["status"], generation))
            wrong.extend(f"{name}: {each}: {answer['status']}" for each in found)
            self.statuses += 1
            return answer

        operator._cluster.patch_status = watched  # type: ignore[method-assign]
        return wrong

    async def get(self, kind: Kind, name: str = SANDBOX) -> Body | None:
        """Return an object of the namespace."""
        return await self.api.get(kind, self.namespace, name)

    async def find(self, kind: Kind, selector: str = kinds.SANDBOX_LABEL) -> list[Body]:
        """Return objects of the namespace by label."""
        return await self.api.list(kind, self.namespace, selector)

    async def events(self, reason: str = "") -> list[Body]:
        """Return the operator's own events, those of one reason if it is given."""
        return [
            each
            for each in await self.find(kinds.EVENT, "")
            if each.get("reportingController") == kinds.FIELD_MANAGER
            and reason in ("", each["reason"])
        ]

    async def put(self, body: Body) -> Body:
        """Apply an object as its author would."""
        kind = {each.name: each for each in (kinds.SANDBOX, kinds.CONFIG_MAP, kinds.SERVICE)}[
            body["kind"]
        ]
        metadata = {**body["metadata"], "namespace": self.namespace}
        path = kind.path(self.namespace, metadata["name"])
        manifest = {**body, "metadata": metadata}
        return await self.write("PATCH", path, manifest, APPLY, fieldManager="author", force="true")

    async def drop(self, kind: Kind, name: str = SANDBOX) -> None:
        """Delete an object."""
        body = await self.get(kind, name)
        if body is not None:
            await self.api.delete(kind, body)

    async def status(self, name: str = SANDBOX) -> Body:
        """Return the status of a sandbox, empty while it is about an older generation."""
        body = await self.get(kinds.SANDBOX, name)
        status: Body = (body or {}).get("status") or {}
        current = status.get("observedGeneration") == (body or {"metadata": {}})["metadata"].get(
            "generation"
        )
        return status if current else {}

    async def condition(self, kind: str, name: str = SANDBOX) -> tuple[str, str, str]:
        """Return status, reason and message of a condition."""
        for each in (await self.status(name)).get("conditions") or ():
            if each["type"] == kind:
                return each["status"], each["reason"], each.get("message", "")
        return "", "", ""

    async def until(
        self, kind: str, status: str, reason: str = "", *, seconds: float = 20.0
    ) -> str:
        """Wait for a condition; return its message."""

        async def probe() -> Any:
            found = await self.condition(kind)
            met = found[0] == status and reason in ("", found[1])
            return found if met else None

        try:
            found: tuple[str, str, str] = await eventually("", probe, seconds=seconds)
        except TimeoutError:
            seen = (await self.status()).get("conditions")
            raise TimeoutError(
                f"{kind}={status} {reason} not reached; conditions: {seen}"
            ) from None
        return found[2]


@contextlib.asynccontextmanager
async def place(kubeconfig: Path, prefix: str) -> AsyncIterator[Bed]:
    """Open a bed in a new namespace, with the kind installed, its kubelet and hosts at work."""
    async with Bed(kubeconfig, f"{prefix}-{secrets.token_hex(4)}").open() as bed:
        await install_kind(bed.api)
        await bed.make_namespace()
        async with bed.kubelet.run(), bed.hosts.run():
            yield bed
        await bed.drop_namespace()


class Kubelet:
    """Makes the pods of a namespace ready, one step after the other, or leaves them."""

    def __init__(self, bed: Bed) -> None:
        self._bed = bed
        self.ready = True

    @contextlib.asynccontextmanager
    async def run(self) -> AsyncIterator[None]:
        """Play the kubelet in the background."""
        task = asyncio.create_task(self._loop())
        try:
            yield
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def _loop(self) -> None:
        while True:
            with contextlib.suppress(ControllerError):  # the API server may be away
                await self._look()
            await asyncio.sleep(0.05)

    async def _look(self) -> None:
        for pod in await self._bed.find(kinds.POD):
            if "deletionTimestamp" in pod["metadata"]:
                await self._remove(pod)
            elif pod["status"].get("podIP") is None and self.ready:
                await self.say(pod)

    async def say(self, pod: Body, *, ready: bool = True) -> None:
        """Report a pod as running, ready or not."""
        now = dt.datetime.now(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        container = {
            "name": "host",
            "image": "none",
            "imageID": "",
            "ready": ready,
            "started": True,
            "restartCount": 0,
            "state": {"running": {"startedAt": now}},
        }
        truth = {True: "True", False: "False"}
        conditions = [
            {"type": "PodScheduled", "status": "True", "lastTransitionTime": now},
            {"type": "ContainersReady", "status": truth[ready], "lastTransitionTime": now},
            {"type": "Ready", "status": truth[ready], "lastTransitionTime": now},
        ]
        address = pod["status"].get("podIP") or self._bed.hosts.place()
        status = {
            "phase": "Running",
            "podIP": address,
            "podIPs": [{"ip": address}],
            "conditions": conditions,
            "containerStatuses": [container],
        }
        await self.patch(pod, status)

    async def patch(self, pod: Body, status: Body) -> None:
        """Write a pod's status."""
        path = kinds.POD.path(self._bed.namespace, pod["metadata"]["name"], "status")
        with contextlib.suppress(Exception):  # it may be gone by now
            await self._bed.write("PATCH", path, {"status": status}, MERGE)

    async def _remove(self, pod: Body) -> None:
        path = kinds.POD.path(self._bed.namespace, pod["metadata"]["name"])
        with contextlib.suppress(Exception):
            await self._bed.write("DELETE", path, {"gracePeriodSeconds": 0})


def source(name: str = "counter", text: str = "a = 1\n", *, labelled: bool = True) -> Body:
    """Return a ConfigMap with a plugin's files."""
    labels = {kinds.SOURCE_LABEL: "true"} if labelled else {}
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "labels": labels},
        "data": {"counter.py": text},
    }


def sandbox(name: str = SANDBOX, **spec: Any) -> Body:
    """Return a sandbox with one plugin; pods go nowhere."""
    plugin = {
        "name": "counter",
        "runtime": "Python",
        "source": {"configMap": {"name": "counter"}},
        "entryPoint": "counter:Counter",
    }
    return {
        "apiVersion": kinds.SANDBOX.api_version,
        "kind": kinds.SANDBOX.name,
        "metadata": {"name": name},
        "spec": {"plugins": [plugin], "pod": {"nodeSelector": NOWHERE}, **spec},
    }
