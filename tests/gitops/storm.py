"""Everything that may happen to sandboxes under an Application, many times, and who notices.

The operator, the API server, its controllers and Argo CD are real; nodes and hosts are played (see
the operator's `bed`), so that hundreds of decisions take minutes.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import itertools
import json
import secrets
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from pluginsandbox.controller import kinds
from pluginsandbox.controller.cluster import MERGE
from pluginsandbox.controller.kinds import Kind
from pluginsandbox.controller.operator import Operator
from tests.bed.kubectl import Kubectl, until
from tests.cluster.progress import say
from tests.gitops import owned
from tests.gitops.applications import Watcher, application, watching
from tests.gitops.argocd import NAMESPACE, REFRESH, ArgoCD
from tests.gitops.owned import Owned
from tests.gitops.repository import Repository
from tests.integration.operator.bed import Bed, eventually, sandbox, source
from tests.integration.operator.policy import POLICY
from tests.manifests import copies

APPLICATION = Kind("Application", "argoproj.io", "v1alpha1", "applications")
FOLDER = "sandboxes"
SECONDS = 120.0
LEAST_ROUNDS = 2
"""So that everything that a round may bring has come once."""


@dataclasses.dataclass
class Report:
    """What happened, and what Argo CD made of it."""

    application: str
    decisions: int = 0
    roll_outs: int = 0
    crashes: int = 0
    repairs: int = 0
    restarts: int = 0
    comparisons: int = 0
    flaps: list[str] = dataclasses.field(default_factory=list)
    """Healths that the Application changed to while pods came and went by the load alone."""
    out_of_sync_seconds: float = 0.0
    git_owned_changes: list[str] = dataclasses.field(default_factory=list)
    seconds: float = 0.0

    @property
    def clean(self) -> bool:
        """Whether Argo CD had nothing to say."""
        return not (self.flaps or self.out_of_sync_seconds or self.git_owned_changes)


class Storm:
    """One Application with a few sandboxes, and an operator that acts on them alone.

    Args:
        bed: Of a namespace; the Application has its name.
        argo: Brings the sandboxes.
        watcher: Of all Applications.
        repository: That the Application reads; empty.
        sandboxes: How many.

    """

    def __init__(
        self,
        bed: Bed,
        argo: ArgoCD,
        watcher: Watcher,
        repository: Repository,
        sandboxes: int,
    ) -> None:
        self._bed = bed
        self._argo = argo
        self._watcher = watcher
        self._repository = repository
        self._name = bed.namespace
        self._names = tuple(f"shop-{number}" for number in range(sandboxes))
        self._texts = itertools.count()
        self._images = itertools.count()
        self._counted = 0
        self._operators = contextlib.AsyncExitStack()
        self._operator: Operator
        self.report = Report(bed.namespace)

    async def run(self, decisions: int, *, server_side: bool) -> Report:
        """Let so many decisions happen, and all else in between; return what came of it."""
        began = time.monotonic()
        await self._begin(server_side=server_side)
        turns = itertools.cycle((self._roll_out, self._crash, self._meddle, self._replace))
        with owned.watching(self._argo.kubectl, self._bed.namespace) as seen:
            await self._settle(1)
            for rounds in itertools.count(1):
                await self._surge()
                for turn in itertools.islice(turns, 2):
                    await turn()
                    await self._settle(1)
                elapsed = time.monotonic() - began
                say(f"{self._name}: {self.decisions} of {decisions} decisions, {elapsed:.0f} s")
                if self.decisions >= decisions and rounds >= LEAST_ROUNDS:
                    break
            await self._end(seen)
        self.report.seconds = time.monotonic() - began
        return self.report

    @property
    def decisions(self) -> int:
        """Decisions of all operators so far that moved a number of pods."""
        registry = self._operator.metrics.registry
        return self._counted + sum(
            int(sample.value)
            for family in registry.collect()
            for sample in family.samples
            if sample.name == "pluginsandbox_scale_decisions_total"
            and sample.labels["direction"] != "Hold"
        )

    async def _begin(self, *, server_side: bool) -> None:
        self._write("0")
        for name in self._names:
            body = sandbox(name, scaling=POLICY)
            self._repository.write(f"{FOLDER}/{name}.json", json.dumps(body))
        since, revision = time.monotonic(), self._repository.commit("Sandboxes")
        self._operator = await self._start()
        described = application(
            self._name, self._repository, FOLDER, self._bed.namespace, server_side=server_side
        )
        await asyncio.to_thread(self._argo.apply, described)
        await asyncio.to_thread(self._watcher.brought, self._name, revision, since)

    async def _end(self, seen: Owned) -> None:
        await self._compare("hard")
        report = self.report
        report.decisions = self.decisions
        await self._operators.aclose()
        report.comparisons = self._watcher.comparisons(self._name)
        report.out_of_sync_seconds = self._watcher.drifted_seconds(self._name)
        report.git_owned_changes = seen.changes

    async def _start(self) -> Operator:
        image = f"pluginsandbox-test.invalid/host:{next(self._images)}"
        settings = self._bed.settings.model_copy(update={"host_image": image})
        return await self._operators.enter_async_context(self._bed.operator(settings))

    def _write(self, text: str) -> None:
        body = source(text=f"a = {text}\n")
        self._repository.write(f"{FOLDER}/source.json", json.dumps(body))

    async def _surge(self) -> None:
        """Load comes and goes; pods follow, and Argo CD has nothing to say."""
        await self._compare()  # the health of what was before may be on its way
        await self._healthy()
        before = time.monotonic()
        self._bed.hosts.calls = 4
        await self._settle(4)
        await self._compare()
        self._bed.hosts.calls = 0
        await self._settle(1)
        await self._compare()
        self.report.flaps += self._watcher.healths(self._name, before)[1:]

    async def _roll_out(self) -> None:
        """Git brings another text of the plugin."""
        before = await self._templates()
        self._write(str(next(self._texts) + 1))
        since, revision = time.monotonic(), self._repository.commit("Another text")
        await self._refresh()
        await asyncio.to_thread(self._watcher.brought, self._name, revision, since)
        await self._rolled(before)

    async def _replace(self) -> None:
        """The operator ends, and another comes with another host image."""
        before = await self._templates()
        self._counted = self.decisions
        await self._operators.aclose()
        self._operator = await self._start()
        self.report.restarts += 1
        await self._rolled(before)

    async def _crash(self) -> None:
        """One host of each sandbox dies and comes back; pods of another are deleted."""
        pods = await self._bed.find(kinds.POD)
        for pod in pods:
            await self._bed.kubelet.say(pod, ready=False)
        await self._compare()
        for pod in pods[1:]:
            await self._bed.kubelet.say(pod)
        await self._bed.api.delete(kinds.POD, pods[0])
        self.report.crashes += len(pods)

    async def _meddle(self) -> None:
        """Somebody edits and deletes what the operator made."""
        bed = self._bed
        for name in self._names:
            path = kinds.DEPLOYMENT.path(bed.namespace, name)
            await bed.write("PATCH", path, {"spec": {"replicas": 3}}, MERGE)
            await bed.drop(kinds.SERVICE, name)
        await self._compare()

        async def repaired() -> bool:
            services = {each["metadata"]["name"] for each in await bed.find(kinds.SERVICE)}
            return services >= set(self._names)

        await eventually("Services", repaired, seconds=SECONDS)
        self.report.repairs += 2 * len(self._names)

    async def _templates(self) -> dict[str, Any]:
        return {
            each["metadata"]["name"]: each["spec"]["template"]
            for each in await self._bed.find(kinds.DEPLOYMENT)
        }

    async def _rolled(self, before: dict[str, Any]) -> None:
        async def anew() -> bool:
            now = await self._templates()
            return all(now.get(name) not in (None, before[name]) for name in self._names)

        await eventually("new templates", anew, seconds=SECONDS)
        self.report.roll_outs += len(self._names)

    async def _settle(self, count: int) -> None:
        async def there() -> list[Any]:
            statuses = [await self._bed.status(name) for name in self._names]
            return [each for each in statuses if not _settled(each, count)]

        async def all_there() -> bool:
            return not await there()

        await eventually(f"{count} pods each", all_there, seconds=SECONDS)

    async def _healthy(self) -> None:
        watcher, name = self._watcher, self._name
        await asyncio.to_thread(
            watcher.until, name, "healthy", lambda view: view.health == "Healthy"
        )

    async def _compare(self, how: str = "normal") -> None:
        """Have Argo CD compare, and wait until it has."""
        await self._refresh(how)

        async def compared() -> bool:
            path = APPLICATION.path(NAMESPACE, self._name)
            body = await self._bed.write("GET", path, {})
            return REFRESH not in (body["metadata"].get("annotations") or {})

        await eventually("a comparison", compared, seconds=SECONDS)

    async def _refresh(self, how: str = "normal") -> None:
        path = APPLICATION.path(NAMESPACE, self._name)
        body = {"metadata": {"annotations": {REFRESH: how}}}
        await self._bed.write("PATCH", path, body, MERGE)


def _settled(status: dict[str, Any], count: int) -> bool:
    numbers = {status.get(each) for each in ("replicas", "readyReplicas", "desiredReplicas")}
    conditions = {each["type"]: each["status"] for each in status.get("conditions") or ()}
    return numbers == {count} and conditions.get("Reconciling") == "False"


@contextlib.asynccontextmanager
async def bed(argo: ArgoCD, namespace: str) -> AsyncIterator[Bed]:
    """Make a namespace with a kubelet and hosts."""
    made = Bed(argo.kubectl.kubeconfig, namespace)
    async with made.open() as opened:
        await opened.make_namespace()
        async with opened.kubelet.run(), opened.hosts.run():
            yield opened
        await opened.drop_namespace()


async def storm(
    argo: ArgoCD, folder: Path, *, decisions: int, sandboxes: int
) -> tuple[Report, ...]:
    """Let storms rage at once, one for each way in which Argo CD compares.

    Args:
        argo: On a control plane of its own.
        folder: Of the repositories.
        decisions: Of each storm, at least.
        sandboxes: Of each storm.

    Returns:
        What came of each, and last what Argo CD's watcher says where something must drift.

    """
    _install_kind(argo.kubectl)
    with watching(argo.kubectl) as watcher:

        async def one(name: str, *, server_side: bool) -> Report:
            async with bed(argo, f"{name}-{secrets.token_hex(2)}") as made:
                repository = Repository(folder / made.namespace)
                raging = Storm(made, argo, watcher, repository, sandboxes)
                return await raging.run(decisions, server_side=server_side)

        return await asyncio.gather(
            one("legacy", server_side=False),
            one("server-side", server_side=True),
            _control(argo, watcher, folder),
        )


def _install_kind(kubectl: Kubectl) -> None:
    kubectl("apply", "--server-side", "--force-conflicts", "-f", copies.CRD)
    # It fails while the kind is so new that it has no conditions.
    wait = ("wait", "--for=condition=Established", "-f", copies.CRD)
    until("the kind", lambda: kubectl(*wait), seconds=SECONDS)


async def _control(argo: ArgoCD, watcher: Watcher, folder: Path) -> Report:
    """Scale a sandbox whose number of pods Git holds: that must be seen, and be taken back."""
    async with bed(argo, f"control-{secrets.token_hex(2)}") as made:
        name, report = made.namespace, Report(made.namespace)
        repository = Repository(folder / name)
        repository.write(f"{FOLDER}/shop.json", json.dumps(sandbox("shop", replicas=1)))
        since, revision = time.monotonic(), repository.commit("One pod")
        described = application(name, repository, FOLDER, name)
        await asyncio.to_thread(argo.apply, described)
        await asyncio.to_thread(watcher.brought, name, revision, since)
        path = kinds.SANDBOX.path(name, "shop", "scale")
        await made.write("PATCH", path, {"spec": {"replicas": 5}}, MERGE)
        await asyncio.to_thread(watcher.until, name, "out of sync", lambda v: v.sync == "OutOfSync")

        async def taken_back() -> bool:
            body = await made.get(kinds.SANDBOX, "shop")
            return body is not None and body["spec"].get("replicas") == 1

        await eventually("Git's number again", taken_back, seconds=SECONDS)
        await asyncio.to_thread(watcher.until, name, "in sync", lambda v: v.sync == "Synced")
        report.comparisons = watcher.comparisons(name)
        report.out_of_sync_seconds = watcher.drifted_seconds(name)
        return report
