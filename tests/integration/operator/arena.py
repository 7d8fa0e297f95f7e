"""Where hostile authors try: their namespace, what others have, and an operator with its rights."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import json
import ssl
from collections import defaultdict
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import aiohttp
import yaml
import yarl

from pluginsandbox.controller import kinds
from pluginsandbox.controller.kinds import SANDBOX_LABEL, Kind
from pluginsandbox.controller.settings import Settings
from tests.bed import chart
from tests.deputy import gains
from tests.deputy.record import GRANT, OPERATOR, REFUSING, SCHEMA, SERVER, Try
from tests.integration.operator import accounts
from tests.integration.operator.bed import Bed, Body, eventually, sandbox, source

QUOTA = Kind("ResourceQuota", "", "v1", "resourcequotas")
OPERATOR_LABELS = {"app": "the-operator"}
CHILDREN = (
    *(kinds.DEPLOYMENT, kinds.SERVICE, kinds.NETWORK_POLICY, kinds.POD_DISRUPTION_BUDGET),
    *(kinds.CONFIG_MAP, kinds.SECRET, kinds.EVENT, kinds.SANDBOX),
)
AUTHOR = [
    {
        "apiGroups": [kinds.SANDBOX.group],
        "resources": [kinds.SANDBOX.plural, f"{kinds.SANDBOX.plural}/scale"],
        "verbs": ["get", "list", "create", "update", "patch", "delete"],
    }
]
BAD = 400
AT_ONCE = 6
"""Requests of the author."""
PODS = 40
"""That the quota of the author's namespace has room for."""


@dataclasses.dataclass
class Outcome:
    """What came of a try.

    Args:
        attempt: The try.
        code: HTTP status.
        message: What the API server said.
        name: Of the object that was made; empty if none was.
        unexpected: What is not as the try foretells.

    """

    attempt: Try
    code: int
    message: str
    name: str = ""
    unexpected: str = ""

    @property
    def kind(self) -> str:
        """`refused` or `harmless`, as long as nothing was gained."""
        return "refused" if self.attempt.stop in REFUSING else "harmless"

    @property
    def awaited(self) -> bool:
        """Whether the operator must do something about it."""
        return self.attempt.stop in (GRANT, OPERATOR) or self.attempt.deploys

    def met(self, sandboxes: Mapping[str, Body], served: Mapping[str, Body]) -> bool:
        """Tell whether the operator did what the try foretells."""
        if self.attempt.stop not in (GRANT, OPERATOR):
            return self.name in served
        grant = self.attempt.stop == GRANT
        reason, words = (
            ("NotAllowed", f"spec.{self.attempt.says}") if grant else (self.attempt.says, "")
        )
        conditions = sandboxes[self.name]["status"].get("conditions") or ()
        told = any(each["reason"] == reason and words in each["message"] for each in conditions)
        return told and self.name not in served

    def expect(self, what: str, *, met: bool) -> None:
        """Take down what the try foretold and did not come."""
        if not met:
            said = self.message if self.code >= BAD else "taken"
            self.unexpected = f"{self.attempt.name}: {what}; HTTP {self.code}: {said[:300]}"


class Arena:
    """Where the tries are made.

    Args:
        bed: The author's namespace.
        folder: For credentials.

    """

    def __init__(self, bed: Bed, folder: Path) -> None:
        self._bed = bed
        self._folder = folder
        self._vault = f"{bed.namespace}-vault"
        self._home = f"{bed.namespace}-home"
        self._snapshot = ""
        self._session: aiohttp.ClientSession
        self._server = ""

    @contextlib.asynccontextmanager
    async def open(self, granted: tuple[str, ...] = ()) -> AsyncIterator[Arena]:
        """Bring what others have, the author, and an operator that grants these fields."""
        here = self._bed.namespace
        for namespace in (self._vault, self._home):
            body = {"metadata": {"name": namespace}}
            await self._bed.write("POST", kinds.NAMESPACE.path(""), body)
        await self._bring_others()
        author = await accounts.make(self._bed, here, "author", self._folder)
        await accounts.grant(self._bed, (here, "author"), AUTHOR, here)
        operator = await accounts.make(self._bed, self._home, "operator", self._folder)
        wide, own = chart.rules(self._home)
        await accounts.grant(self._bed, (self._home, "operator"), wide)
        await accounts.grant(self._bed, (self._home, "operator"), own, self._home)
        settings = self._settings(granted)
        async with (
            self._sending(author),
            self._bed.operator(settings, operator, namespaces=()),
        ):
            await self._neighbour()
            try:
                yield self
            finally:
                await self._let_go()
        for namespace in (self._vault, self._home):
            await self._bed.write("DELETE", kinds.NAMESPACE.path("", namespace), {})

    async def _let_go(self) -> None:
        """Take finalizers off: what never goes would keep its kind from going, too."""
        for body in await self._bed.find(kinds.SANDBOX, ""):
            metadata = body["metadata"]
            if metadata.get("finalizers"):
                path = kinds.SANDBOX.path(metadata["namespace"], metadata["name"])
                free = {"metadata": {"finalizers": None}}
                await self._bed.write("PATCH", path, free, "application/merge-patch+json")

    def _settings(self, granted: tuple[str, ...]) -> Settings:
        here = {"matchLabels": {"kubernetes.io/metadata.name": self._bed.namespace}}
        home = {"namespace": self._home, "podLabels": OPERATOR_LABELS, "leaseName": chart.RELEASE}
        allow = [{"fields": list(granted), "namespaces": here}] if granted else []
        common = self._bed.settings.model_dump(by_alias=True)
        return Settings.model_validate({**common, "operator": home, "allow": allow})

    async def attempt(self, number: int, each: Try) -> Outcome:
        """Make a try as its author."""
        if each.request is None:
            body = each.body(f"try-{number}", self._snapshot)
            method, path, content = "POST", "$HERE", "application/json"
            sent = json.dumps(body).encode()
        else:
            method, path, content = each.request.method, each.request.path, each.request.content
            told = each.request.body
            sent = told if isinstance(told, bytes) else json.dumps(told).encode()
        code, answer = await self._send(method, self._path(path), sent, content)
        outcome = Outcome(each, code, str(answer.get("message") or answer))
        taken = code < BAD
        if taken and method == "POST":
            outcome.name = answer["metadata"]["name"]
        if each.stop in (SCHEMA, SERVER):
            refused = code >= BAD and each.says in outcome.message
            outcome.expect(f"must be refused: {each.says!r}", met=refused)
        else:
            outcome.expect("must be taken", met=taken)
        return outcome

    async def settle(self, outcomes: list[Outcome]) -> None:
        """Wait until the operator has done with what was taken."""
        waiting = [each for each in outcomes if each.name and each.awaited]

        async def done() -> bool:
            sandboxes = _by_name(await self._bed.find(kinds.SANDBOX, ""))
            served = _by_name(await self._bed.find(kinds.DEPLOYMENT))
            waiting[:] = [each for each in waiting if not each.met(sandboxes, served)]
            return not waiting

        with contextlib.suppress(TimeoutError):
            await eventually("what the tries foretell", done, seconds=60)
        for each in waiting:
            each.expect(f"{each.attempt.stop}: {each.attempt.says}", met=False)

    async def gained(self) -> dict[str, list[str]]:
        """Return what authors have that they must not, by the sandbox that has it."""
        found: dict[str, list[str]] = defaultdict(list)
        admins = [
            {
                "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": self._home}},
                "podSelector": {"matchLabels": OPERATOR_LABELS},
            }
        ]
        for kind in CHILDREN:
            for body in await self._bed.find(kind, ""):
                metadata = body["metadata"]
                if (kind, metadata["name"]) in self._marked:
                    continue
                owner = metadata.get("labels", {}).get(SANDBOX_LABEL, metadata["name"])
                made = kind in (kinds.CONFIG_MAP, kinds.SECRET, kinds.EVENT, kinds.SANDBOX)
                if made or SANDBOX_LABEL in metadata.get("labels", {}):
                    found[owner] += gains.of(kind, body, self._bed.settings.host_image, admins)
        return {name: lines for name, lines in found.items() if lines}

    async def fingerprint(self) -> dict[str, str]:
        """Return the state of all that others have, and of what there is in their namespaces."""
        found = {}
        for kind, name in sorted(self._marked, key=str):
            body = await self._bed.get(kind, name)
            found[f"{kind.name} {name}"] = _state(body)
        for namespace in (self._vault, self._home, "kube-system", "default"):
            for kind in (*CHILDREN[:6], kinds.POD):
                for body in await self._bed.api.list(kind, namespace):
                    place = f"{namespace}: {kind.name} {body['metadata']['name']}"
                    found[place] = _state(body)
        return found

    async def serves_others(self) -> None:
        """Show that the operator still does its work for others."""
        for body in (source("counter"), sandbox("witness")):
            body["spec"].pop("pod", None) if "spec" in body else None
            kind = kinds.SANDBOX if "spec" in body else kinds.CONFIG_MAP
            await self._bed.write("POST", kind.path(self._vault), body)

        async def made() -> Any:
            return await self._bed.api.get(kinds.DEPLOYMENT, self._vault, "witness")

        await eventually("another's sandbox", made, seconds=60)

    async def _bring_others(self) -> None:
        """Bring what authors must not read, or change."""
        loot = {"data": {"inventory.py": gains.CANARY}}
        labelled = {"labels": {kinds.SOURCE_LABEL: "true"}}
        secret = {"stringData": {"key": gains.CANARY}}
        await self._put(kinds.CONFIG_MAP, self._vault, "loot", {**loot, "metadata": labelled})
        await self._put(kinds.SECRET, self._vault, "loot", secret)
        await self._put(kinds.SECRET, self._home, "operator-tls", secret)
        here = self._bed.namespace
        for name in ("private", "kube-root-ca.crt"):
            await self._put(kinds.CONFIG_MAP, here, name, loot)
        for name in ("crown", "jewel", "till-peers", "till-peers-rotation"):
            await self._put(kinds.SECRET, here, name, secret)
        for kind, name, body in _till():
            await self._put(kind, here, name, body)
        self._marked = frozenset(
            {(kinds.CONFIG_MAP, name) for name in ("private", "kube-root-ca.crt")}
            | {(kind, name) for kind, name, _ in _till()}
            | {(kinds.SECRET, name) for name in ("crown", "jewel")}
            | {(kinds.SECRET, f"till-peers{rest}") for rest in ("", "-rotation")}
        )
        plugin = {"data": {"inventory.py": "a = 1\n"}, "metadata": labelled}
        large = {"data": {"inventory.py": "#" * (80 << 10)}, "metadata": labelled}
        await self._put(kinds.CONFIG_MAP, here, "inventory-plugin", plugin)
        await self._put(kinds.CONFIG_MAP, here, "large", large)
        await self._put(QUOTA, here, "pods", {"spec": {"hard": {"pods": str(PODS)}}})
        restricted = {"metadata": {"labels": {"pod-security.kubernetes.io/enforce": "restricted"}}}
        await self._bed.api.merge(kinds.NAMESPACE, "", here, restricted)

        async def rested() -> Any:
            body = await self._bed.get(kinds.DEPLOYMENT, "till")
            return ((body or {}).get("status") or {}).get("observedGeneration")

        await eventually("till at rest", rested)

    async def _put(self, kind: Kind, namespace: str, name: str, body: Body) -> None:
        metadata = {**body.get("metadata", {}), "name": name}
        await self._bed.write("POST", kind.path(namespace), {**body, "metadata": metadata})

    async def _neighbour(self) -> None:
        """Have another author's sandbox in the same namespace."""
        body = sandbox("inn")
        del body["spec"]["pod"]
        body["spec"]["plugins"][0]["source"]["configMap"]["name"] = "inventory-plugin"
        await self._bed.put(body)

        async def copied() -> Any:
            return await self._bed.find(kinds.CONFIG_MAP, f"{SANDBOX_LABEL}=inn")

        (found,) = await eventually("the neighbour's snapshot", copied)
        self._snapshot = found["metadata"]["name"]

    def _path(self, path: str) -> str:
        here = kinds.SANDBOX.path(self._bed.namespace)
        there = kinds.SANDBOX.path(self._vault)
        mine = kinds.SANDBOX.path(self._bed.namespace, "inn")
        return path.replace("$HERE", here).replace("$THERE", there).replace("$SANDBOX", mine)

    @contextlib.asynccontextmanager
    async def _sending(self, kubeconfig: Path) -> AsyncIterator[None]:
        config = yaml.safe_load(kubeconfig.read_text())  # noqa: ASYNC240 - a small file of the test's own
        cluster, token = config["clusters"][0]["cluster"], config["users"][0]["user"]["token"]
        self._server = cluster["server"]
        trusted = ssl.create_default_context(cafile=cluster["certificate-authority"])
        async with aiohttp.ClientSession(
            headers={"Authorization": f"Bearer {token}"},
            connector=aiohttp.TCPConnector(ssl=trusted, limit=AT_ONCE),
        ) as self._session:
            yield

    async def _send(self, method: str, path: str, body: bytes, content: str) -> tuple[int, Body]:
        headers = {"Content-Type": content, "Accept": "application/json"}
        url = yarl.URL(self._server + path, encoded=True)
        data = io.BytesIO(body)
        async with self._session.request(method, url, data=data, headers=headers) as answer:
            text = await answer.text()
            try:
                return answer.status, json.loads(text)
            except ValueError:
                return answer.status, {"message": text}


def _till() -> tuple[tuple[Kind, str, Body], ...]:
    """Return another team's program under the name `till`: not a sandbox."""
    app = {"matchLabels": {"app": "till"}}
    pod = {"containers": [{"name": "till", "image": "till"}]}
    template = {"metadata": {"labels": {"app": "till"}}, "spec": pod}
    deployment = {"spec": {"replicas": 0, "selector": app, "template": template}}
    service = {"spec": {"selector": {"app": "till"}, "ports": [{"port": 80}]}}
    policy = {"spec": {"podSelector": app, "policyTypes": ["Ingress"]}}
    budget = {"spec": {"selector": app, "maxUnavailable": 1}}
    return (
        (kinds.DEPLOYMENT, "till", deployment),
        (kinds.SERVICE, "till", service),
        (kinds.NETWORK_POLICY, "till", policy),
        (kinds.POD_DISRUPTION_BUDGET, "till", budget),
    )


def _by_name(bodies: list[Body]) -> dict[str, Body]:
    return {each["metadata"]["name"]: each for each in bodies}


def _state(body: Body | None) -> str:
    metadata = (body or {"metadata": {}})["metadata"]
    return f"{metadata.get('uid')} {metadata.get('resourceVersion')}"
