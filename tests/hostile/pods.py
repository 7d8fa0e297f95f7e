"""The arena of the cluster: a PluginSandbox in a restricted namespace, its pod under attack.

The node is this machine, so the suite sees the pod's processes from outside, and puts the stand-ins
for the world where the pod's packets come to: on the node's own addresses.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pluginsandbox.api import paths
from tests.bed import platform, sandboxes
from tests.bed.kubectl import Kubectl
from tests.e2e.conftest import ALLOW, fresh_namespace, ready
from tests.hostile import ears, sandbox
from tests.hostile.arena import Arena, shared_memory
from tests.hostile.door import Door, until
from tests.hostile.ears import Ears

BROKEN = "broken"
_HOST_IN_POD = 1
_START_SECONDS = 200.0


class Pods(Arena):
    """A sandbox on the cluster.

    Args:
        kubectl: Of the cluster.
        namespace: Where it is made.
        listening: Ears on the node.

    """

    where = "pods"

    def __init__(self, kubectl: Kubectl, namespace: str, listening: Ears) -> None:
        super().__init__()
        self._kubectl = kubectl
        self._namespace = namespace
        self._ears = listening
        self._open = contextlib.ExitStack()
        self._second: Door | None = None
        sandboxes.apply(kubectl, namespace, *sandbox.objects())
        ready(kubectl, namespace, sandbox.NAME)
        self._pod, self.door = self._doors(sandbox.NAME)
        self._pid_namespace = self._find_namespace()
        root = {name: f"{paths.PLUGINS}/{name}" for name in ("hostile", "victim")}
        self.target = {
            **listening.targets(),
            "host": _HOST_IN_POD,
            "root": root["hostile"],
            "victim_root": root["victim"],
            "victim_file": f"{root['victim']}/victim.py",
            "secret": f"{paths.SECRETS}/victim/keys/key",
            "config": paths.CONFIG_PATH,
            "door": "http://127.0.0.1:9090/stats",
        }
        self.begin()

    def _doors(self, name: str) -> tuple[dict[str, Any], Door]:
        """Return the one pod of a sandbox and its doors."""

        def pods() -> list[dict[str, Any]]:
            select = ("-l", f"pluginsandbox.dev/sandbox={name}")
            found: list[dict[str, Any]] = self._get("pods", *select)["items"]
            return [each for each in found if each["status"].get("phase") == "Running"]

        assert until(pods, _START_SECONDS), f"no pod of {name} runs"
        (pod,) = pods()
        target = f"pod/{pod['metadata']['name']}"
        forward, enter = self._kubectl.forward, self._open.enter_context
        callers, admin = (enter(forward(self._namespace, target, port)) for port in (8080, 9090))
        return pod, Door(("127.0.0.1", callers), ("127.0.0.1", admin))

    def _get(self, *words: str) -> Any:
        return self._kubectl.get(*words, "-n", self._namespace)

    # --- the pod's processes, from the node ------------------------------------------------------

    def _find_namespace(self) -> str:
        uid = self._pod["metadata"]["uid"]
        for process in _processes():
            with contextlib.suppress(OSError):
                inside = uid in (process / "cgroup").read_text().replace("_", "-")
                if inside and b"pluginsandbox" in (process / "cmdline").read_bytes():
                    return str((process / "ns" / "pid").readlink())
        raise LookupError("the pod's processes are not on this machine: use the local cluster")

    def _on_node(self, process: int) -> Path | None:
        """Return where the node tells of a process of the pod."""
        for found in _processes():
            with contextlib.suppress(OSError):
                if str((found / "ns" / "pid").readlink()) == self._pid_namespace:
                    status = (found / "status").read_text()
                    numbers = status.partition("NSpid:")[2].partition("\n")[0].split()
                    if int(numbers[-1]) == process:
                        return found
        return None

    def identity(self) -> object:
        """Return what a new host process has anew; `end` asks how often it was started."""
        return self.door.stats()["generation"]

    def heard(self) -> list[str]:
        """Ask the ears."""
        return self._ears.heard()

    def host_descriptors(self) -> int:
        """Count them."""
        host = self._on_node(_HOST_IN_POD)
        assert host is not None
        return sum(1 for _ in (host / "fd").iterdir())

    def shared_memory(self, process: int) -> int:
        """Ask the node."""
        found = self._on_node(process)
        assert found is not None
        return shared_memory(found)

    def alive(self, process: int) -> bool:
        """Look for it."""
        return self._on_node(process) is not None

    def log(self) -> list[str]:
        """Read the container's log."""
        name = self._pod["metadata"]["name"]
        return self._kubectl("logs", name, "-n", self._namespace).splitlines()

    def broken(self) -> Door:
        """Make the second sandbox, once."""
        if self._second is None:
            sandboxes.apply(self._kubectl, self._namespace, *sandbox.broken_objects(BROKEN))
            _, door = self._doors(BROKEN)
            assert until(lambda: _serves(door), _START_SECONDS), f"{BROKEN} does not serve"
            self._second = door
        return self._second

    def end(self) -> str:
        """Return what the attacks together did to the pod, or nothing."""
        pod = self._get("pod", self._pod["metadata"]["name"])
        (container,) = pod["status"]["containerStatuses"]
        if container["restartCount"] or not container["ready"]:
            return f"the pod's container was restarted, or is not ready: {container}"
        return self.uncounted()

    def close(self) -> None:
        """End the forwarding."""
        self._open.close()


def _processes() -> Iterator[Path]:
    return (entry for entry in Path("/proc").iterdir() if entry.name.isdigit())


def _serves(door: Door) -> bool:
    with contextlib.suppress(OSError):
        return door.call("victim", "add", "early").status == 200
    return False


@contextlib.contextmanager
def besieged(folder: Path) -> Iterator[Pods]:
    """Bring the platform up, and the sandbox; take the sandbox away again."""
    bed = platform.prepare()
    bed.install({"allow": ALLOW})
    with (
        ears.on_node(folder) as listening,
        fresh_namespace(bed.kubectl) as namespace,
        contextlib.closing(Pods(bed.kubectl, namespace, listening)) as arena,
    ):
        yield arena
