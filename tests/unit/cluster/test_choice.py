"""Which cluster is used follows one rule."""

from __future__ import annotations

import pytest

from tests.cluster.choice import choose, decide
from tests.cluster.errors import ClusterError

CASES = [
    ({}, False, False, "local"),
    ({}, False, True, "kind"),
    ({}, True, True, "local"),
    ({"KUBECONFIG": "/k"}, False, False, "local"),
    ({"PLUGINSANDBOX_KUBECONFIG": "/k"}, True, True, "user"),
    ({"PLUGINSANDBOX_KUBECONFIG": "/k", "PLUGINSANDBOX_CLUSTER": "local"}, False, True, "local"),
    ({"PLUGINSANDBOX_CLUSTER": "kind"}, True, False, "kind"),
    ({"PLUGINSANDBOX_CLUSTER": "user"}, True, True, "user"),
]


@pytest.mark.parametrize(("environment", "local", "kind", "expected"), CASES)
def test_the_rule(environment: dict[str, str], *, local: bool, kind: bool, expected: str) -> None:
    assert decide(environment, local_is_up=local, kind_works=lambda: kind) == expected


def test_docker_is_not_asked_when_it_does_not_matter() -> None:
    def fail() -> bool:
        raise AssertionError

    assert decide({"PLUGINSANDBOX_KUBECONFIG": "/k"}, local_is_up=False, kind_works=fail) == "user"


def test_another_word_is_refused() -> None:
    with pytest.raises(ClusterError, match="must be one of user, kind, local"):
        decide({"PLUGINSANDBOX_CLUSTER": "mine"}, local_is_up=False, kind_works=bool)


def test_a_users_cluster_needs_a_kubeconfig() -> None:
    with pytest.raises(ClusterError, match="neither PLUGINSANDBOX_KUBECONFIG nor KUBECONFIG"):
        choose({"PLUGINSANDBOX_CLUSTER": "user"})


def test_kubeconfig_counts_when_a_users_cluster_is_asked_for() -> None:
    cluster = choose({"PLUGINSANDBOX_CLUSTER": "user", "KUBECONFIG": "/nowhere"})

    assert cluster.kind == "user"
    with pytest.raises(ClusterError, match="no kubeconfig file /nowhere"):
        cluster.kubeconfig()
