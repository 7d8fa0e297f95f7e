"""The values that flow from observing to deciding to reporting; all frozen, none does I/O."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Mapping

from pluginsandbox.api.host_stats import HostStats
from pluginsandbox.api.reasons import Reason
from pluginsandbox.api.sandbox import PluginSandbox
from pluginsandbox.api.scaling import Scaling
from pluginsandbox.api.status import LastDecision
from pluginsandbox.controller import kinds
from pluginsandbox.controller.children.config_snapshot import Files
from pluginsandbox.controller.kinds import Key, Kind
from pluginsandbox.controller.trim import Body


@dataclasses.dataclass(frozen=True, slots=True)
class Problem:
    """Something in the way of what the spec asks for.

    Args:
        reason: Of the closed list.
        message: What was found and what to do.
        edit: Whether only an edit cures it: then Stalled at once, else after a while.

    """

    reason: Reason
    message: str
    edit: bool = False


@dataclasses.dataclass(frozen=True, slots=True)
class Source:
    """A ConfigMap that a plugin names as its source.

    Args:
        name: Of the ConfigMap.
        exists: Whether there is one.
        files: What it holds; None unless it exists and is labelled as a source.

    """

    name: str
    exists: bool
    files: Files | None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Scaled:
    """What the autoscaler says of a sandbox.

    Args:
        policy: By which it decided; of another policy than the spec's it says nothing.
        desired: Pods that are wanted.
        limit: What keeps them from being as many as the load asks for; empty if nothing does.
        blind: Whether the hosts cannot be read, so that the number is held.
        last: The last step, if one was made by this process.
        leaving: Uids of the pods that are to go in a step down that is being made.

    """

    policy: Scaling
    desired: int
    limit: str
    blind: bool
    last: LastDecision | None
    leaving: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """All that one reconcile knows of the cluster.

    Args:
        key: Of the sandbox.
        sandbox: Its spec and metadata.
        status: Its status as last written.
        sources: Of the plugins with a ConfigMap source, by the plugin's name.
        contents: Those ConfigMaps in full, where a snapshot has to be made.
        namespace_labels: Labels of the namespace; only its name where they do not matter.
        children: Live objects under the names of children.
        snapshots: Live snapshots of the sandbox.
        named_snapshots: Snapshots that ReplicaSets name; None if that was not looked up.
        pods: Live pods of the sandbox.
        stats: What pods tell, by their uid; a pod that was not read is absent.
        mount_failures: What the kubelet says of volumes that it cannot mount, by the pod's uid.
        pod_monitors: Whether PodMonitors are wanted and possible.
        now: Wall clock.
        scaled: What the autoscaler says; None where it is off, or has not looked yet.
        unsure: Whether hosts may only have been too busy to answer this process yet.

    """

    key: Key
    sandbox: PluginSandbox
    status: Body
    sources: Mapping[str, Source]
    contents: Mapping[str, Body]
    namespace_labels: Mapping[str, str]
    children: Mapping[tuple[Kind, str], Body]
    snapshots: tuple[Body, ...]
    named_snapshots: frozenset[str] | None
    pods: tuple[Body, ...]
    stats: Mapping[str, HostStats]
    mount_failures: Mapping[str, str]
    pod_monitors: bool
    now: dt.datetime
    scaled: Scaled | None = None
    unsure: bool = False

    @property
    def deployment(self) -> Body | None:
        """The sandbox's own Deployment: one that a stranger or a namesake left says nothing."""
        live = self.children.get((kinds.DEPLOYMENT, self.key.name))
        return live if live is not None and controlled_by(live, self.sandbox) else None


def controlled_by(body: Body, sandbox: PluginSandbox) -> bool:
    """Tell whether the sandbox is the controlling owner of the object."""
    return any(
        owner.get("controller") and owner.get("uid") == sandbox.metadata.uid
        for owner in body["metadata"].get("ownerReferences") or ()
    )


def left_by_namesake(body: Body, sandbox: PluginSandbox) -> bool:
    """Tell whether a deleted sandbox of the same name owned it: garbage collection takes it."""
    return any(
        owner.get("controller")
        and owner.get("kind") == kinds.SANDBOX.name
        and owner.get("name") == sandbox.metadata.name
        and owner.get("uid") != sandbox.metadata.uid
        for owner in body["metadata"].get("ownerReferences") or ()
    )
