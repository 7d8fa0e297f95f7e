"""What happens to a sandbox in its life: each flow makes the operator write."""

from __future__ import annotations

import dataclasses
from collections.abc import Awaitable, Callable
from typing import Any

from pluginsandbox.controller import kinds
from tests.integration.operator.bed import SANDBOX, Bed, sandbox, source

CHANGED = 77
"""Seconds of an idle time-out that no default has: it shows in the host's configuration."""


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
    act: Callable[[Bed], Awaitable[Any]]
    ready: str = "Available"
    image: str = "old"


async def _create(bed: Bed) -> None:
    await bed.put(source())
    await bed.put(sandbox())


async def _change_plugin(bed: Bed) -> None:
    await bed.put(source(text="a = 2\n"))


def _spec(**spec: Any) -> Callable[[Bed], Awaitable[Any]]:
    async def act(bed: Bed) -> None:
        await bed.put(sandbox(contexts={"idleTimeoutSeconds": CHANGED}, **spec))

    return act


async def _nothing(_: Bed) -> None:
    """The chart's settings changed: the operator itself starts with others."""


async def _drift(bed: Bed) -> None:
    mine = {"spec": {"policyTypes": ["Ingress"]}}
    await bed.api.merge(kinds.NETWORK_POLICY, bed.namespace, SANDBOX, mine)


async def _lose_child(bed: Bed) -> None:
    await bed.drop(kinds.SERVICE)


async def _delete(bed: Bed) -> None:
    await bed.drop(kinds.SANDBOX)


CREATE = Flow("create", _create)
CHANGE_PLUGIN = Flow("change the plugin", _change_plugin)
FLOWS = (
    CREATE,
    CHANGE_PLUGIN,
    Flow("change the spec", _spec()),
    Flow("drift", _drift),
    Flow("lose a child", _lose_child),
    Flow("scale to none", _spec(replicas=0), "ScaledToZero"),
    Flow("scale to one", _spec()),
    Flow("suspend", _spec(operatingMode="Suspended"), "Suspended"),
    Flow("resume", _spec()),
    Flow("change the chart", _nothing, image="new"),
    Flow("delete", _delete, "", image="new"),
)
SHORT = (CREATE, CHANGE_PLUGIN, Flow("delete", _delete, ""))
