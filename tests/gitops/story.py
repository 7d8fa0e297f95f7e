"""From an empty cluster to a serving sandbox and through its life, by commits alone.

Each step makes a commit, or a command of `kubectl`, waits for what must come of it and says how
long that took. What is delivered is what `manifests/argocd` and the chart ship; only addresses of
Git and of images are put in.
"""

from __future__ import annotations

import contextlib
import dataclasses
import shlex
import time
from typing import Any

import yaml

from tests.bed import platform, sandboxes
from tests.bed.kubectl import Kubectl, until
from tests.bed.platform import CHART, Platform
from tests.e2e.conftest import door
from tests.gitops.applications import View, Watcher
from tests.gitops.argocd import APPLICATIONS, NAMESPACE, ArgoCD
from tests.gitops.repository import Repository
from tests.gitops.statuses import Statuses, watching
from tests.manifests.copies import ARGOCD

KIND = "pluginsandboxes.pluginsandbox.dev"
ROOT, OPERATOR, SANDBOX = "platform", "pluginsandbox", "hello"
APPS = "manifests/argocd/apps"
FOLDER = "manifests/argocd/hello"
GREETING = 'f"Hello, {name}!'
"""Words of the plugin that a commit may change."""
SERVING_SECONDS = 240.0
SECONDS = 120.0


@dataclasses.dataclass(frozen=True)
class Effect:
    """A commit, and how long after it something was there."""

    revision: str
    decided: float
    """Seconds until the operator's status had the new number of pods."""
    ready: float
    """Seconds until that many pods were ready."""


class Story:
    """Argo CD on a cluster with our images, and the repository that it reads.

    Args:
        cluster: Where nothing of ours is; see `clear`.
        argo: On it.
        watcher: Of its Applications.
        repository: Empty.

    """

    def __init__(
        self, cluster: Platform, argo: ArgoCD, watcher: Watcher, repository: Repository
    ) -> None:
        self._cluster = cluster
        self._kubectl = cluster.kubectl
        self._argo = argo
        self.watcher = watcher
        self._git = repository
        self._root: dict[str, Any] = {}
        self._revision = ""
        self._watches = contextlib.ExitStack()
        self._statuses: Statuses

    def stock(self) -> None:
        """Put into Git what the repository ships, with the addresses of this machine."""
        git = self._git
        git.copy(CHART, "charts/pluginsandbox")
        git.copy(ARGOCD, "manifests/argocd")
        images = {
            "image": {"repository": self._cluster.operator.repository},
            "hostImage": {"repository": self._cluster.host.repository},
        }
        images["image"]["tag"] = self._cluster.operator.tag
        images["hostImage"]["tag"] = self._cluster.host.tag
        for path in (
            f"{APPS}/operator.yaml",
            f"{APPS}/hello.yaml",
            "manifests/argocd/platform.yaml",
        ):
            body = yaml.safe_load((git.folder / path).read_text())
            body["spec"]["source"]["repoURL"] = git.url
            if "helm" in body["spec"]["source"]:
                body["spec"]["source"]["helm"]["valuesObject"] |= images
            git.write(path, yaml.safe_dump(body))
        self._root = yaml.safe_load((git.folder / "manifests/argocd/platform.yaml").read_text())
        self._revision = git.commit("A platform")

    def serve(self) -> tuple[float, dict[str, float]]:
        """Apply the one Application, and wait for the first answer to a call.

        Returns:
            Seconds until then, and until each Application was Healthy.

        """
        began = time.monotonic()
        self._argo.apply(self._root)
        self._health(OPERATOR, "Healthy", seconds=SERVING_SECONDS)
        self._statuses = self._watches.enter_context(watching(self._kubectl, SANDBOX))
        self._health(SANDBOX, "Healthy", seconds=SERVING_SECONDS)
        status, answer = until("an answer", self._greet, seconds=SERVING_SECONDS)
        served = time.monotonic() - began
        assert status == 200, answer
        self.watcher.brought(SANDBOX, self._revision, began)
        self._health(ROOT, "Healthy")
        return served, {
            name: self._healthy_since(name) - began for name in (OPERATOR, SANDBOX, ROOT)
        }

    def widen(self, minimum: int, *, refresh: bool) -> Effect:
        """Commit another least number of pods, and wait until they are there.

        Args:
            minimum: The number.
            refresh: Tell Argo CD, as the Git server's webhook would; else it looks by itself.

        """
        self._edit(scaling={"minReplicas": minimum, "maxReplicas": 8})
        began, revision = self._commit(f"At least {minimum} pods", refresh=refresh)
        count = str(minimum)
        wanted = self._statuses.until("wanted", lambda each: each.desired == count, began)
        ready = self._statuses.until("ready", lambda each: each.ready == count, began)
        self.watcher.brought(SANDBOX, revision, began)
        return Effect(revision, wanted.at - began, ready.at - began)

    def rewrite(self, before: str, after: str, health: str) -> list[str]:
        """Commit another text of the plugin, and wait for a health; return all on the way."""
        template = self._template()

        def rolling() -> bool:
            return bool(self._template() != template)

        self._git.replace(f"{FOLDER}/hello.py", before, after)
        began = self._bring("Another text of the plugin")
        until("another template", rolling, seconds=SECONDS)
        if health == "Healthy":
            words = ("-n", SANDBOX, f"deployment/{SANDBOX}", "--timeout=120s")
            self._kubectl("rollout", "status", *words, timeout=150)
        return self._healths(began, health)

    def operate(self, mode: str, health: str) -> list[str]:
        """Commit an operating mode, and wait for a health; return all on the way."""
        self._edit(operatingMode=mode)
        return self._healths(self._bring(f"Operating mode {mode}"), health)

    def override(self, count: int) -> str:
        """Scale by hand while Git watches, then end it as the condition says.

        Returns:
            The condition's message while the number was set by hand.

        """
        began = time.monotonic()
        self._kubectl("scale", f"psb/{SANDBOX}", "-n", SANDBOX, f"--replicas={count}")
        self._statuses.until(f"{count} ready", lambda each: each.ready == str(count), began)
        held = sandboxes.conditions(self._kubectl, SANDBOX, SANDBOX)["ScalingActive"]
        assert (held["status"], held["reason"]) == ("False", "ManualReplicas"), held
        self._compare()
        words = shlex.split(held["message"][held["message"].index("kubectl patch") :])
        began = time.monotonic()
        self._kubectl(*words[1:])
        self._statuses.until("the load again", lambda each: each.active == "FollowsLoad", began)
        self._compare()
        return str(held["message"])

    def follow(self, contexts: int) -> tuple[str, dict[str, Any]]:
        """Bind contexts, then commit a policy by which each needs a pod.

        Returns:
            The commit, and the decision that came of it.

        """
        with door(self._kubectl, SANDBOX, SANDBOX) as post:
            for number in range(contexts):
                post("hello", "greet", context=f"visitor-{number}")
        self._edit(scaling={"maxReplicas": 8, "metrics": [{"type": "Contexts", "target": 1}]})
        began, revision = self._commit("A pod for each context", refresh=True)
        self.watcher.brought(SANDBOX, revision, began)
        count = str(contexts)
        self._statuses.until(f"{count} ready", lambda each: each.ready == count, began)
        body = self._kubectl.get("psb", SANDBOX, "-n", SANDBOX)
        return revision, body["status"]["scaling"]["lastDecision"]

    def close(self) -> None:
        """Stop watching."""
        self._watches.close()

    def leave(self) -> None:
        """Delete the one Application and with it all that it made, the kind excepted."""
        words = ("-n", NAMESPACE, f"{APPLICATIONS}/{ROOT}")
        self._kubectl("delete", *words, "--ignore-not-found", "--timeout=120s", timeout=150)

    def _edit(self, **spec: Any) -> None:
        path = f"{FOLDER}/sandbox.yaml"
        body = yaml.safe_load((self._git.folder / path).read_text())
        body["spec"] |= spec
        self._git.write(path, yaml.safe_dump(body))

    def _bring(self, message: str) -> float:
        """Commit, and wait until Argo CD has brought it; return when it was committed."""
        began, revision = self._commit(message, refresh=True)
        self.watcher.brought(SANDBOX, revision, began)
        return began

    def _healths(self, began: float, health: str) -> list[str]:
        """Wait for a health that speaks of the sandbox as it is now; return all since then."""
        self.watcher.until(
            SANDBOX,
            health,
            lambda view: view.health == health and self._statuses.calm,
            seconds=SECONDS,
        )
        return self.watcher.healths(SANDBOX, began)

    def _template(self) -> Any:
        return self._kubectl.get("deployment", SANDBOX, "-n", SANDBOX)["spec"]["template"]

    def _commit(self, message: str, *, refresh: bool) -> tuple[float, str]:
        began, revision = time.monotonic(), self._git.commit(message)
        if refresh:
            self._argo.refresh(SANDBOX)
        return began, revision

    def _compare(self) -> None:
        self._argo.refresh(SANDBOX, "hard")

        def compared() -> bool:
            found = self._kubectl.get(APPLICATIONS, SANDBOX, "-n", NAMESPACE)
            return "argocd.argoproj.io/refresh" not in found["metadata"].get("annotations", {})

        until("a comparison", compared, seconds=SECONDS)

    def _greet(self) -> tuple[int, Any]:
        with door(self._kubectl, SANDBOX, SANDBOX) as post:
            status, _, answer = post("hello", "greet")
            return status, answer

    def _health(self, name: str, health: str, *, seconds: float = SECONDS) -> View:
        return self.watcher.until(name, health, lambda view: view.health == health, seconds=seconds)

    def _healthy_since(self, name: str) -> float:
        """Return when an Application became Healthy for good."""
        since = 0.0
        for view in self.watcher.of(name):
            since = (since or view.at) if view.health == "Healthy" else 0.0
        return since


def clear(kubectl: Kubectl) -> None:
    """Make the cluster one that knows nothing of us: no kind, no operator, no Application."""
    for kind in ("applications", "appprojects"):
        if kubectl.find("crd", f"{kind}.argoproj.io"):
            for each in kubectl.get(f"{kind}.argoproj.io", "-A")["items"]:
                words = ("-n", each["metadata"]["namespace"], each["metadata"]["name"])
                patch = '{"metadata":{"finalizers":null}}'
                kubectl("patch", f"{kind}.argoproj.io", *words, "--type=merge", f"--patch={patch}")
            kubectl.delete("crd", f"{kind}.argoproj.io")
    platform.uninstall(kubectl)
    kubectl.delete("crd", KIND)
    kubectl.delete("namespace", SANDBOX, platform.NAMESPACE, NAMESPACE)
