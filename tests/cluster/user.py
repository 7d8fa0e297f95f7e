"""A cluster that the user names. It is theirs: nothing in it is made or removed here."""

from __future__ import annotations

import os
from pathlib import Path

from tests.cluster import archive
from tests.cluster.base import Part
from tests.cluster.errors import ClusterError
from tests.cluster.progress import say
from tests.cluster.system import run
from tests.cluster.tools import find


class UserCluster:
    """A cluster behind a kubeconfig.

    Args:
        kubeconfig: opens it.
        registry: where its nodes pull images from and we may push to, such as
            ``registry.example/team``; without it no image can be loaded.
    """

    kind = "user"

    def __init__(self, kubeconfig: Path, registry: str | None) -> None:
        self._kubeconfig = kubeconfig
        self._registry = registry

    def up(self) -> None:
        """Say which cluster it is, once it answers."""
        self._kubectl("get", "--raw", "/readyz")
        context = self._kubectl("config", "current-context").strip()
        say(f"cluster: yours, context {context} of {self._kubeconfig}")

    def down(self) -> None:
        """Leave it alone."""
        say(f"the cluster of {self._kubeconfig} is yours; nothing of it is removed")

    def kubeconfig(self) -> Path:
        """The user's file."""
        if not self._kubeconfig.is_file():
            raise ClusterError(f"there is no kubeconfig file {self._kubeconfig}")
        return self._kubeconfig

    def load(self, archive_path: Path) -> list[str]:
        """Push the archive's images to the user's registry with skopeo."""
        if not self._registry:
            raise ClusterError(
                "images reach your cluster through a registry: set PLUGINSANDBOX_REGISTRY to one "
                "that you may push to and its nodes pull from, such as registry.example/team "
                "(skopeo uses your existing login), and install skopeo"
            )
        pushed = []
        for name in archive.references(archive_path):
            target = f"{self._registry.rstrip('/')}/{name.rpartition('/')[2]}"
            source = f"{archive.transport(archive_path)}:{archive_path}:{name}"
            run("skopeo", "copy", "--quiet", source, f"docker://{target}", seconds=900)
            pushed.append(target)
        return pushed

    def status(self) -> list[Part]:
        """Whether its API answers, and its nodes."""
        try:
            self._kubectl("get", "--raw", "/readyz")
        except ClusterError as error:
            return [Part("API", well=False, detail=str(error))]
        ready = '{.status.conditions[?(@.type=="Ready")].status}'
        form = "jsonpath={range .items[*]}{.metadata.name} " + ready + '{"\\n"}{end}'
        nodes = [line.split() for line in self._kubectl("get", "nodes", "-o", form).splitlines()]
        parts = [Part(name, state == "True", f"Ready {state}") for name, state in nodes]
        return [Part("API", well=True, detail="ready"), *parts]

    def logs(self, component: str | None) -> str:
        """The last lines of a pod of kube-system; without a name, what pods there are."""
        if component is None:
            return self._kubectl("get", "pods", "--namespace", "kube-system")
        return self._kubectl("logs", "--namespace", "kube-system", "--tail=100", component)

    def _kubectl(self, *arguments: str) -> str:
        env = {**os.environ, "KUBECONFIG": str(self.kubeconfig())}
        return run(find("kubectl"), "--request-timeout=15s", *arguments, env=env)
