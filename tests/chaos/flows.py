"""What happens to a sandbox in its life: each flow makes the operator write."""

from __future__ import annotations

import dataclasses
from collections.abc import Awaitable, Callable
from typing import Any

from pluginsandbox.controller import kinds
from pluginsandbox.controller.cluster import MERGE
from tests.integration.operator.bed import SANDBOX, Bed, sandbox, source

Act = Callable[[Bed], Awaitable[Any]]

CHANGED = 77
"""Seconds of an idle time-out that no default has: it shows in the host's configuration."""
MOST = 5
AT_ONCE = {"stableWindowSeconds": 6, "panicWindowSeconds": 1, "scaleDownDelaySeconds": 0}
"""An autoscaler that need not be waited for."""


@dataclasses.dataclass(frozen=True)
class Flow:
    """Something that is done to a sandbox.

    Args:
        name: For people.
        act: Does it.
        ready: Reason of Ready afterwards; empty if the sandbox is gone.
        image: Image of the hosts that the operator is configured with from then on.

    """

    name: str
    act: Act
    ready: str = "Available"
    image: str = "old"


def _create(**spec: Any) -> Act:
    async def act(bed: Bed) -> None:
        await bed.put(source())
        await bed.put(sandbox(**spec))

    return act


def _spec(**spec: Any) -> Act:
    async def act(bed: Bed) -> None:
        await bed.put(sandbox(contexts={"idleTimeoutSeconds": CHANGED}, **spec))

    return act


async def _change_plugin(bed: Bed) -> None:
    await bed.put(source(text="a = 2\n"))


def _by_scale(replicas: int) -> Act:
    async def act(bed: Bed) -> None:
        path = kinds.SANDBOX.path(bed.namespace, SANDBOX, "scale")
        await bed.write("PATCH", path, {"spec": {"replicas": replicas}}, MERGE)

    return act


def _by_load(calls: int) -> Act:
    async def act(bed: Bed) -> None:
        bed.hosts.calls = calls

    return act


def _by_range(least: int) -> Act:
    async def act(bed: Bed) -> None:
        scaling = {"minReplicas": least, "maxReplicas": MOST, **AT_ONCE}
        # In one step: with neither a number nor a range it would be one pod meanwhile.
        spec = {"replicas": None, "scaling": scaling}
        await bed.api.merge(kinds.SANDBOX, bed.namespace, SANDBOX, {"spec": spec})

    return act


async def _nothing(_: Bed) -> None:
    """The chart's settings changed: the operator itself starts with others."""


async def _drift(bed: Bed) -> None:
    mine = {"spec": {"policyTypes": ["Ingress"]}}
    await bed.api.merge(kinds.NETWORK_POLICY, bed.namespace, SANDBOX, mine)


async def _drift_of_several(bed: Bed) -> None:
    mine = {"spec": {"maxUnavailable": "50%"}}
    await bed.api.merge(kinds.POD_DISRUPTION_BUDGET, bed.namespace, SANDBOX, mine)


def _lose(kind: kinds.Kind, name: str = SANDBOX) -> Act:
    async def act(bed: Bed) -> None:
        await bed.drop(kind, name)

    return act


async def _delete(bed: Bed) -> None:
    bed.hosts.calls = 0
    await bed.drop(kinds.SANDBOX)


CREATE = Flow("create", _create())
CHANGE_PLUGIN = Flow("change the plugin", _change_plugin)
ONE_POD = (
    CREATE,
    CHANGE_PLUGIN,
    Flow("change the spec", _spec()),
    Flow("drift", _drift),
    Flow("lose a child", _lose(kinds.SERVICE)),
    Flow("scale to none", _spec(replicas=0), "ScaledToZero"),
    Flow("scale to one", _spec()),
    Flow("suspend", _spec(operatingMode="Suspended"), "Suspended"),
    Flow("resume", _spec()),
    Flow("change the chart", _nothing, image="new"),
    Flow("grow", _spec(replicas=2), image="new"),
    Flow("delete", _delete, "", image="new"),
)
SEVERAL = (
    Flow("create several", _create(replicas=2)),
    Flow("change the plugin of several", _change_plugin),
    Flow("change the spec of several", _spec(replicas=2)),
    Flow("scale up by /scale", _by_scale(4)),
    Flow("scale down by /scale", _by_scale(3)),
    Flow("drift of several", _drift_of_several),
    Flow("lose the Service of the peers", _lose(kinds.SERVICE, f"{SANDBOX}-peers")),
    Flow("suspend several", _spec(replicas=3, operatingMode="Suspended"), "Suspended"),
    Flow("resume several", _spec(replicas=3)),
    Flow("change the chart under several", _nothing, image="new"),
    Flow("scale by the range", _by_range(2), image="new"),
    Flow("scale by a higher range", _by_range(3), image="new"),
    Flow("scale by the load", _by_load(16), image="new"),
    Flow("delete several", _delete, "", image="new"),
)
FLOWS = (*ONE_POD, *SEVERAL)
SHORT = (CREATE, CHANGE_PLUGIN, Flow("grow", _spec(replicas=2)), Flow("delete", _delete, ""))
