"""Which cluster is used.

The rule is the first of these that applies:

1. ``PLUGINSANDBOX_CLUSTER`` is ``user``, ``kind`` or ``local``: that one;
2. ``PLUGINSANDBOX_KUBECONFIG`` names a file: the user's cluster;
3. a local node is up: that one;
4. kind is installed and a Docker engine answers: kind;
5. a node of our own.

``KUBECONFIG`` alone decides nothing: people have it set for other work. It is read only when
``PLUGINSANDBOX_CLUSTER=user`` says that it is meant.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

from tests.cluster.base import Cluster
from tests.cluster.errors import ClusterError
from tests.cluster.kind import KindCluster
from tests.cluster.layout import Layout
from tests.cluster.local import LocalCluster
from tests.cluster.system import succeeds
from tests.cluster.user import UserCluster

_KINDS = ("user", "kind", "local")


def choose(environment: Mapping[str, str] | None = None) -> Cluster:
    """The cluster that the environment asks for.

    Args:
        environment: ours by default.

    Raises:
        ClusterError: it asks for what does not exist.
    """
    given = os.environ if environment is None else environment
    kind = decide(given, local_is_up=Layout().kubeconfig.exists(), kind_works=_kind_works)
    if kind == "user":
        return UserCluster(_kubeconfig(given), given.get("PLUGINSANDBOX_REGISTRY"))
    return KindCluster() if kind == "kind" else LocalCluster()


def decide(
    environment: Mapping[str, str], *, local_is_up: bool, kind_works: Callable[[], bool]
) -> str:
    """The rule itself.

    Args:
        environment: variables of the process.
        local_is_up: whether a node of our own runs.
        kind_works: asked only when the answer matters, for it takes a while.

    Raises:
        ClusterError: ``PLUGINSANDBOX_CLUSTER`` has another value.
    """
    forced = environment.get("PLUGINSANDBOX_CLUSTER", "")
    if forced:
        if forced not in _KINDS:
            raise ClusterError(
                f"PLUGINSANDBOX_CLUSTER is {forced!r}; it must be one of {', '.join(_KINDS)}"
            )
        return forced
    if environment.get("PLUGINSANDBOX_KUBECONFIG"):
        return "user"
    return "kind" if not local_is_up and kind_works() else "local"


def _kubeconfig(environment: Mapping[str, str]) -> Path:
    for variable in ("PLUGINSANDBOX_KUBECONFIG", "KUBECONFIG"):
        if value := environment.get(variable):
            return Path(value)
    raise ClusterError(
        "PLUGINSANDBOX_CLUSTER=user, but neither PLUGINSANDBOX_KUBECONFIG nor KUBECONFIG "
        "names a kubeconfig file"
    )


def _kind_works() -> bool:
    return shutil.which("kind") is not None and succeeds("docker", "info")
