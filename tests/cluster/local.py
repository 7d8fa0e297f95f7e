"""A single node of our own: real Kubernetes components as processes of this machine.

Every step of `up` looks before it acts, so `up` is also the repair: it starts what has died,
restarts what should run in another form, and leaves alone what is well.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.cluster import (
    api,
    build,
    certs,
    cgroups,
    dns,
    images,
    network,
    packages,
    process,
    start,
    sweep,
    sysctls,
    versions,
)
from tests.cluster.base import Part
from tests.cluster.errors import ClusterError
from tests.cluster.layout import Layout, cache_home
from tests.cluster.progress import say, stage

COMPONENTS = (
    "etcd",
    "kube-apiserver",
    "containerd",
    "kube-controller-manager",
    "kube-scheduler",
    "kube-proxy",
    "kubelet",
    "policy-agent",
)


class LocalCluster:
    """The cluster that needs nothing but root, Go and Debian.

    Args:
        layout: its folders.
    """

    kind = "local"

    def __init__(self, layout: Layout | None = None) -> None:
        self._layout = layout or Layout()

    def kubeconfig(self) -> Path:
        """The administrator's kubeconfig."""
        if not self._layout.kubeconfig.exists():
            raise ClusterError("the local cluster is not up: python -m tests.cluster up")
        return self._layout.kubeconfig

    def up(self) -> None:
        """Build, start or repair the node."""
        layout = self._layout
        _require_root()
        programs = build.ensure(versions.NODE)
        packages.ensure()
        with _alone():
            say("cluster: a node of our own")
            with stage("network, certificates"):
                layout.state.mkdir(parents=True, exist_ok=True)
                network.apply()
                sysctls.make_room(layout)
                cgroups.create()
                pki = certs.ensure(layout)
                start.write_configs(layout, programs)
            with stage("containerd and its images"):
                start.database_and_api(layout, programs, pki)
                start.runtime(layout, programs)
            with stage("etcd, API server"):
                start.wait_for_api(layout)
            with stage("controllers, scheduler, proxy"):
                start.workers(layout, programs, pki)
                start.apply_addons(layout, programs)
            with stage("node"):
                start.wait_for_node(layout)
            with stage("cluster DNS"):
                start.wait_for_dns(layout)
        say(f"ready: export KUBECONFIG={layout.kubeconfig}")

    def down(self) -> None:
        """Kill and remove everything of the node; built programs stay in the cache."""
        layout = self._layout
        _require_root()
        with _alone():
            with stage("processes"):
                sweep.kill_everything(layout)
            with stage("mounts, network, control groups"):
                sweep.unmount_everything(layout)
                network.remove()
                sweep.remove_groups()
                sysctls.restore(layout)
                sysctls.give_room_back(layout)
            with stage("files"):
                sweep.remove_files(layout)

    def load(self, archive: Path) -> list[str]:
        """Import an image archive into containerd."""
        _require_root()
        self.kubeconfig()
        folder = build.ensure([versions.CONTAINERD])[versions.CONTAINERD.name]
        return images.load(self._layout, folder, archive)

    def status(self) -> list[Part]:
        """Each process, then what the API says of the node and DNS."""
        layout = self._layout
        parts = []
        for name in COMPONENTS:
            pid = process.running(layout, name)
            parts.append(Part(name, pid is not None, f"pid {pid}" if pid else "not running"))
        parts.append(_condition("API", "ready", holds=api.ready(layout)))
        parts.append(_condition("node", "ready", holds=api.node_ready(layout)))
        parts.append(_condition("DNS", "answering", holds=dns.answers()))
        return parts

    def logs(self, component: str | None) -> str:
        """The end of a log file; ``audit`` is the API server's record of writes."""
        layout = self._layout
        known = (*COMPONENTS, "audit")
        if component is None:
            return "\n".join(f"== {name}\n{process.tail(layout, name, 5)}" for name in COMPONENTS)
        if component not in known:
            raise ClusterError(f"no component {component!r}; there are: {', '.join(known)}")
        return process.tail(layout, component, 100)


def _condition(name: str, condition: str, *, holds: bool) -> Part:
    return Part(name, holds, condition if holds else f"not {condition}")


def _require_root() -> None:
    if os.geteuid() != 0:
        raise ClusterError(
            "a node of our own needs root (it makes links, mounts and control groups): use sudo, "
            "or kind with Docker, or name a cluster: PLUGINSANDBOX_KUBECONFIG=<file>"
        )


@contextmanager
def _alone() -> Iterator[None]:
    folder = cache_home()
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "local-cluster.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("another 'up' or 'down' is at work; waiting for it")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield
