"""Looks at the cluster for one reconcile: mostly in the store, over the wire only where it must.

What is not watched is read here and in `sources` and `surroundings`: ReplicaSets while an old
snapshot is left, what the kubelet says of volumes, and the hosts.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Callable

from pluginsandbox.api.host_stats import HostStats
from pluginsandbox.api.sandbox import PluginSandbox
from pluginsandbox.controller import explain, kinds
from pluginsandbox.controller.children import deployment
from pluginsandbox.controller.children.common import peers_name
from pluginsandbox.controller.cluster import Cluster
from pluginsandbox.controller.errors import ControllerError
from pluginsandbox.controller.hosts import Hosts
from pluginsandbox.controller.kinds import Key, Kind
from pluginsandbox.controller.observed import Observed, Scaled
from pluginsandbox.controller.settings import Settings
from pluginsandbox.controller.sources import Sources
from pluginsandbox.controller.store import Store
from pluginsandbox.controller.surroundings import Surroundings
from pluginsandbox.controller.trim import Body

QUIET_CREATION_SECONDS = 10.0
"""A pod that creates its container for longer than this has its events read."""
MOST_LOOKED_INTO = 4
"""Of such pods; what keeps one of them keeps the others."""
STARTING_SECONDS = 1.0
"""A host that runs for longer than this without being ready is asked why."""

_NAMESAKES: tuple[Kind, ...] = (
    kinds.DEPLOYMENT,
    kinds.SERVICE,
    kinds.NETWORK_POLICY,
    kinds.POD_DISRUPTION_BUDGET,
    kinds.POD_MONITOR,
)


class Observer:
    """Makes `Observed`.

    Args:
        store: What is watched.
        cluster: What is not.
        hosts: What pods tell.
        settings: The administrator's configuration.
        clock: Monotonic seconds.
        scaled: What the autoscaler says of a sandbox.

    """

    def __init__(
        self,
        store: Store,
        cluster: Cluster,
        hosts: Hosts,
        settings: Settings,
        clock: Callable[[], float],
        scaled: Callable[[Key], Scaled | None],
    ) -> None:
        self._store = store
        self._scaled = scaled
        self._cluster = cluster
        self._hosts = hosts
        self._sources = Sources(store, cluster)
        self._surroundings = Surroundings(store, cluster, settings, clock)

    async def observe(self, key: Key, sandbox: PluginSandbox, now: dt.datetime) -> Observed:
        """Return what there is, without what pods tell: that only explains, and can take a while.

        Raises:
            ControllerError: Something that is needed could not be read.

        """
        sources, contents = await self._sources.look(key, sandbox)
        seen = self.again(
            Observed(
                key=key,
                sandbox=sandbox,
                status={},
                sources=sources,
                contents=contents,
                namespace_labels=await self._surroundings.namespace_labels(key.namespace),
                children={},
                snapshots=(),
                named_snapshots=None,
                pods=(),
                stats={},
                mount_failures={},
                pod_monitors=await self._surroundings.pod_monitors(key),
                now=now,
            )
        )
        return dataclasses.replace(seen, named_snapshots=await self._named_snapshots(seen))

    async def listen(self, observed: Observed) -> Observed:
        """Return the same with what hosts and the kubelet tell of exactly these pods."""
        return dataclasses.replace(
            observed,
            stats=await self._stats(observed),
            unsure=self._hosts.unsure(observed.key),
            mount_failures=await self._mount_failures(observed),
        )

    def again(self, observed: Observed) -> Observed:
        """Return the same with the store's part looked up anew, after our own writes."""
        key, store = observed.key, self._store
        body = store.get(kinds.SANDBOX, key.namespace, key.name) or {}
        names = [(kind, key.name) for kind in _NAMESAKES]
        names.append((kinds.SERVICE, peers_name(observed.sandbox)))
        children = {
            (kind, name): live
            for kind, name in names
            if (live := store.get(kind, key.namespace, name)) is not None
        }
        snapshots = tuple(store.owned(kinds.CONFIG_MAP, key))
        children |= {(kinds.CONFIG_MAP, each["metadata"]["name"]): each for each in snapshots}
        return dataclasses.replace(
            observed,
            status=body.get("status") or {},
            children=children,
            snapshots=snapshots,
            pods=tuple(store.owned(kinds.POD, key)),
            scaled=self._scaled(key),
        )

    def failing(self, key: Key) -> bool:
        """Tell whether a host of the sandbox must be asked again soon."""
        return self._hosts.failing(key)

    def forget(self, key: Key) -> None:
        """Drop what is known of a sandbox that is gone."""
        self._hosts.forget(key)
        self._surroundings.forget(key)

    async def _stats(self, observed: Observed) -> dict[str, HostStats]:
        asked = [
            (pod, ready)
            for pod in observed.pods
            if (ready := explain.is_ready(pod)) or _runs_for(pod, observed.now) >= STARTING_SECONDS
        ]
        return await self._hosts.read(
            observed.key, [each for each in asked if each[0]["status"].get("podIP")]
        )

    async def _mount_failures(self, observed: Observed) -> dict[str, str]:
        """Return what the kubelet says of volumes of pods that do not get going."""
        found = {}
        slow = [
            pod
            for pod in observed.pods
            if _creates_for(pod, observed.now) >= QUIET_CREATION_SECONDS
        ]
        for pod in slow[:MOST_LOOKED_INTO]:
            uid = pod["metadata"]["uid"]
            message = await self._mount_failure(observed.key.namespace, uid)
            if message:
                found[uid] = message
        return found

    async def _mount_failure(self, namespace: str, uid: str) -> str:
        fields = f"regarding.uid={uid},type=Warning"
        try:
            events = await self._cluster.list(kinds.EVENT, namespace, fields=fields)
        except ControllerError:
            return ""  # it would only explain
        notes = [event for event in events if "Mount" in str(event.get("reason"))]
        return str(notes[-1].get("note") or "") if notes else ""

    async def _named_snapshots(self, observed: Observed) -> frozenset[str] | None:
        """Return the snapshots that ReplicaSets name, if one is left over and no roll-out runs."""
        live = observed.deployment
        if live is None:
            return None
        wanted = deployment.snapshot_name(live)
        spare = any(each["metadata"]["name"] != wanted for each in observed.snapshots)
        status = live.get("status") or {}
        if not spare or status.get("updatedReplicas", 0) != status.get("replicas", 0):
            return None
        selector = f"{kinds.SANDBOX_LABEL}={observed.key.name}"
        sets = await self._cluster.list(kinds.REPLICA_SET, observed.key.namespace, selector)
        return frozenset(deployment.snapshot_name(each) for each in sets)


def _seconds_since(stamp: str | None, now: dt.datetime) -> float:
    return (now - dt.datetime.fromisoformat(stamp)).total_seconds() if stamp else 0.0


def _runs_for(pod: Body, now: dt.datetime) -> float:
    """Return for how many seconds the host's process has run; negative if it does not."""
    for container in pod["status"].get("containerStatuses") or ():
        started = (container.get("state") or {}).get("running") or {}
        if started.get("startedAt"):
            return _seconds_since(started["startedAt"], now)
    return -1.0


def _creates_for(pod: Body, now: dt.datetime) -> float:
    """Return for how many seconds the kubelet has been creating the container; negative if not."""
    containers = pod["status"].get("containerStatuses") or ()
    waiting = [
        ((each.get("state") or {}).get("waiting") or {}).get("reason") for each in containers
    ]
    if "ContainerCreating" not in waiting:
        return -1.0
    return _seconds_since(explain.condition(pod, "PodScheduled").get("lastTransitionTime"), now)
