"""What an operator does in its life, as named checks; each needs some of its rights."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from pluginsandbox.controller import events, kinds
from pluginsandbox.controller.cluster import MERGE, Cluster
from pluginsandbox.controller.errors import PermanentError
from pluginsandbox.controller.kinds import WATCHED, Kind
from pluginsandbox.controller.kopf_watch import KopfWatch
from pluginsandbox.controller.operator import Operator
from pluginsandbox.controller.settings import Settings
from tests.integration.operator import pod_states
from tests.integration.operator.bed import SANDBOX, Bed, sandbox, source
from tests.integration.operator.policy import POLICY
from tests.rights import rights

OK, FORBIDDEN = 200, 403
PATIENCE = 40.0
"""Seconds for a check, on a machine that is busy."""
AFTER_DENIAL = 4.0
"""Seconds that a check has left once the operator was refused something."""
TEAM = {"team": "shop"}
EDITS: Mapping[Kind, dict[str, Any]] = {
    kinds.DEPLOYMENT: {"replicas": 3},
    kinds.SERVICE: {"selector": {kinds.SANDBOX_LABEL: "other"}},
    kinds.NETWORK_POLICY: {"policyTypes": ["Ingress"]},
    kinds.POD_DISRUPTION_BUDGET: {"maxUnavailable": 5},
}
"""A field of each child that is ours."""


class Scenario:
    """Makes the checks, one after the other.

    Args:
        bed: Where.
        audit_log: Of the API server.

    """

    def __init__(self, bed: Bed, audit_log: Path) -> None:
        self._bed = bed
        self._audit_log = audit_log
        self._denied: list[str] = []
        self._watched: dict[str, int] = {}
        self.why: tuple[str, ...] = ()
        """What the operator was refused in the check that failed, and which watches stood."""
        self.operator: Operator

    @contextlib.contextmanager
    def listening(self, patch: pytest.MonkeyPatch) -> Iterator[None]:
        """Take down what the operator is refused, and which watches stand."""
        send = Cluster._send
        denied = self._denied

        async def heard(self: Cluster, *words: Any, **named: Any) -> Any:
            try:
                return await send(self, *words, **named)
            except PermanentError as error:
                if error.code == FORBIDDEN:
                    denied.append(str(error))
                raise

        trace, watch, watched = KopfWatch._tracing, Cluster.watch, self._watched

        async def followed(self: Cluster, kind: Kind, namespace: str, *rest: Any) -> Any:
            path = kind.path(namespace)
            try:
                async for events in watch(self, kind, namespace, *rest):
                    watched.setdefault(path, OK)
                    yield events
            except PermanentError as error:
                watched[path] = error.code
                raise

        def tracing(self: KopfWatch, loop: asyncio.AbstractEventLoop) -> aiohttp.TraceConfig:
            made = trace(self, loop)

            async def answered(_: Any, __: Any, what: aiohttp.TraceRequestEndParams) -> None:
                if "watch" in what.url.query:
                    watched[what.url.path] = what.response.status

            made.on_request_end.append(answered)
            return made

        with patch.context() as patched:
            patched.setattr(Cluster, "_send", heard)
            patched.setattr(KopfWatch, "_tracing", tracing)
            patched.setattr(Cluster, "watch", followed)
            patched.setattr(events, "REPEAT_SECONDS", 0.0)
            yield

    async def first_failure(self, until: str = "") -> str:
        """Make the checks in their order; return the first that fails, or nothing.

        Args:
            until: The last check to make; empty: all of them.

        """
        for name in rights.CHECKS:
            if not await self._holds(_CHECKS[name], doomed=name == until):
                return name
            if name == until:
                break
        return ""

    async def _holds(self, check: Check, *, doomed: bool) -> bool:
        """Tell whether a check holds; one that is to fail is given up soon after a denial."""
        self._denied.clear()
        loop = asyncio.get_running_loop()
        task = asyncio.ensure_future(check(self))
        deadline = loop.time() + PATIENCE
        while not task.done() and loop.time() < deadline:
            await asyncio.wait({task}, timeout=0.2)
            if doomed and self._denied:
                deadline = min(deadline, loop.time() + AFTER_DENIAL)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError, TimeoutError, AssertionError):
            await task
            return True
        self.why = (*self._denied, str(self._watched))
        return False

    async def leads(self) -> None:
        """Hold the Lease, and renew it."""
        name, home = self.operator.lease._name, self.operator.lease._namespace
        seen: set[str] = set()

        async def renewed() -> bool:
            body = await self._bed.api.get(kinds.LEASE, home, name)
            seen.update({body["spec"]["renewTime"]} if body else ())
            return len(seen) > 1

        await until(renewed)

    async def watches(self) -> None:
        """Have had something told of every kind, by a watch."""
        wanted = {kind.path(self._bed.namespace) for kind, _ in WATCHED}
        assert self._watched == dict.fromkeys(wanted, OK)

    async def comes_up(self) -> None:
        await self._bed.put(source())
        await self._bed.put(sandbox())
        await self._bed.until("Ready", "True", seconds=PATIENCE)

    async def monitored(self) -> None:
        await self._back(kinds.POD_MONITOR)

    async def told(self) -> None:
        await self._bed.drop(kinds.SERVICE)
        await until(self._bed.events)
        await self._back(kinds.SERVICE)

    async def counted(self) -> None:
        async def again() -> bool:
            return any(each.get("series") for each in await self._bed.events())

        await self._bed.drop(kinds.SERVICE)
        await until(again)
        await self._back(kinds.SERVICE)

    async def several(self) -> None:
        await self._bed.put(sandbox(replicas=2))
        await self._ready(2)
        await self._back(kinds.POD_DISRUPTION_BUDGET)

    async def changes(self) -> None:
        (old,) = await self._snapshots()
        await self._bed.put(source(text="a = 2\n"))

        async def renewed() -> bool:
            names = await self._snapshots()
            return old not in names and len(names) == 1

        await until(renewed)

    async def conflict(self) -> None:
        """Have the operator write from an old view of a child."""
        body = await self._bed.get(kinds.DEPLOYMENT)
        assert body is not None
        old = {**body["metadata"], "resourceVersion": "1"}
        at = (kinds.DEPLOYMENT, self._bed.namespace, SANDBOX)
        store = self.operator.store
        store._bodies[at] = {
            **store._bodies[at],
            "metadata": {**store._bodies[at]["metadata"], **old},
        }
        await self._bed.put(sandbox(replicas=1))
        await self._ready(1)
        concerned = (kinds.DEPLOYMENT.plural, kinds.SANDBOX.plural)
        assert not [each for each in self._denied for kind in concerned if f'"{kind}"' in each]

    async def drift(self) -> None:
        """Edit a child of each kind."""
        async with asyncio.TaskGroup() as group:
            for kind, edit in EDITS.items():
                group.create_task(self._put_right(kind, edit))

    async def _put_right(self, kind: Kind, edit: dict[str, Any]) -> None:
        path = kind.path(self._bed.namespace, SANDBOX)
        before = await self._bed.get(kind)
        assert before is not None
        await self._bed.write("PATCH", path, {"spec": edit}, MERGE)
        (field,) = edit

        async def undone() -> bool:
            body = await self._bed.get(kind)
            return body is not None and body["spec"][field] == before["spec"][field]

        await until(undone)

    async def granted(self) -> None:
        await self._bed.put(sandbox(replicas=1, network={"policy": "Unmanaged"}))

        async def gone() -> bool:
            return await self._bed.get(kinds.NETWORK_POLICY) is None

        await until(gone)
        await self._bed.put(sandbox(replicas=1))
        await self._back(kinds.NETWORK_POLICY)

    async def explained(self) -> None:
        """Play a kubelet that cannot mount a volume of a new pod."""
        self._bed.kubelet.ready = False
        try:
            await self._bed.put(sandbox(replicas=2))
            pod = await self._pending()
            path = kinds.EVENT.path(self._bed.namespace)
            await self._bed.write("POST", path, pod_states.unmounted(pod))
            await self._bed.kubelet.patch(pod, pod_states.creating())
            await self._says("MountVolume.SetUp failed")
        finally:
            self._bed.kubelet.ready = True
            await self._bed.put(sandbox(replicas=1))

    async def stops(self) -> None:
        await self._bed.put(sandbox(operatingMode="Suspended"))
        await self._bed.until("Ready", "True", "Suspended", seconds=PATIENCE)
        await self._bed.put(sandbox())
        await self._bed.until("Ready", "True", "Available", seconds=PATIENCE)
        await self._bed.drop(kinds.SANDBOX)

        async def gone() -> bool:
            return not await self._bed.find(kinds.DEPLOYMENT)

        await until(gone)

    async def marked(self) -> None:
        await self._bed.hosts.apart(1, 2)
        self._bed.hosts.calls = 2
        await self._bed.put(sandbox(scaling=POLICY | {"maxReplicas": 2}))
        await self._ready(2)
        self._bed.hosts.calls = 0
        await self._ready(1)
        assert any(_marks(json.loads(line), self._bed.namespace) for line in self._audited())

    def _audited(self) -> list[str]:
        return self._audit_log.read_text().splitlines()

    async def _back(self, kind: Kind) -> None:
        await until(lambda: self._bed.get(kind))

    async def _ready(self, count: int) -> None:
        names = ("replicas", "readyReplicas", "desiredReplicas")

        async def there() -> bool:
            status = await self._bed.status()
            return {status.get(name) for name in names} == {count}

        await until(there)

    async def _snapshots(self) -> list[str]:
        found = await self._bed.find(kinds.CONFIG_MAP)
        return [each["metadata"]["name"] for each in found]

    async def _pending(self) -> dict[str, Any]:
        async def found() -> Any:
            pods = await self._bed.find(kinds.POD)
            return next((pod for pod in pods if not pod["status"].get("podIP")), None)

        pod: dict[str, Any] = await until(found)
        return pod

    async def _says(self, words: str) -> None:
        async def said() -> bool:
            return words in json.dumps(await self._bed.status())

        await until(said)


async def until(probe: Callable[[], Awaitable[Any]]) -> Any:
    """Ask until there is something; the scenario's patience bounds it."""
    while True:
        if found := await probe():
            return found
        await asyncio.sleep(0.1)


Check = Callable[[Scenario], Awaitable[None]]

_CHECKS: Mapping[str, Check] = {
    rights.LEADS: Scenario.leads,
    rights.WATCHES: Scenario.watches,
    rights.COMES_UP: Scenario.comes_up,
    rights.MONITORED: Scenario.monitored,
    rights.TOLD: Scenario.told,
    rights.COUNTED: Scenario.counted,
    rights.SEVERAL: Scenario.several,
    rights.CHANGES: Scenario.changes,
    rights.CONFLICT: Scenario.conflict,
    rights.DRIFT: Scenario.drift,
    rights.GRANTED: Scenario.granted,
    rights.EXPLAINED: Scenario.explained,
    rights.STOPS: Scenario.stops,
    rights.MARKED: Scenario.marked,
}


def settings(bed: Bed, home: str, lease: str) -> Settings:
    """Return a configuration that needs every right: a grant by a label of the namespace."""
    allow = [
        {"fields": ["pod.nodeSelector"]},
        {"fields": ["network.policy"], "namespaces": {"matchLabels": TEAM}},
    ]
    common = bed.settings.model_dump(by_alias=True)
    return Settings.model_validate(
        {**common, "operator": {"namespace": home, "leaseName": lease}, "allow": allow}
    )


def values() -> dict[str, Any]:
    """Return the chart's values that go with these settings."""
    selector = {"matchLabels": TEAM}
    return {"allow": [{"fields": ["network.policy"], "namespaces": selector}]}


@contextlib.asynccontextmanager
async def playing(
    bed: Bed, audit_log: Path, kubeconfig: Path, configuration: Settings, patch: pytest.MonkeyPatch
) -> AsyncIterator[Scenario]:
    """Run an operator with an account's rights, ready for the checks."""
    scenario = Scenario(bed, audit_log)
    await bed.api.merge(kinds.NAMESPACE, "", bed.namespace, {"metadata": {"labels": TEAM}})
    with scenario.listening(patch):
        async with bed.operator(configuration, kubeconfig) as scenario.operator:
            yield scenario


def _marks(entry: dict[str, Any], namespace: str) -> bool:
    """Tell whether an entry of the audit log is a pod that the operator marked."""
    at = entry.get("objectRef") or {}
    pod = (at.get("namespace"), at.get("resource"), at.get("subresource"))
    wanted = pod == (namespace, kinds.POD.plural, None) and entry["verb"] == "patch"
    return wanted and entry["responseStatus"]["code"] == OK
