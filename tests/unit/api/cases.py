"""What the tables of good and bad objects are made of."""

from __future__ import annotations

import dataclasses
from typing import Any

from tests.unit.api.objects import DIGEST

P = "plugins.0"
IMAGE = {"image": {"reference": "registry.example/shop/inventory:1"}}
PINNED = {"image": {"reference": f"registry.example/shop/inventory@{DIGEST}", "path": "/plugin"}}
SELECTOR = {"matchLabels": {"app": "web"}}
SPREAD = {"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule"}
NODES = "pod.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms"


@dataclasses.dataclass(frozen=True)
class Good:
    """An object that is taken."""

    name: str
    changes: dict[str, Any]


@dataclasses.dataclass(frozen=True)
class Bad:
    """An object that is refused.

    Args:
        changes: What `objects.sandbox` takes.
        server: What the API server says, in part.
        model: What the models say, in part; the same unless given.

    """

    name: str
    changes: dict[str, Any]
    server: str
    model: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "model", self.model or self.server)
