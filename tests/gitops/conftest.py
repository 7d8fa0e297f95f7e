"""A control plane of these tests' own, with Argo CD at work on it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pytest

from tests.bed.kubectl import Kubectl
from tests.cluster import tools
from tests.gitops.argocd import ArgoCD, argocd
from tests.integration.operator.control_plane import ControlPlane
from tests.integration.operator.fixtures import plane

__all__ = ["plane"]


@pytest.fixture(scope="session")
def argo(plane: ControlPlane, request: pytest.FixtureRequest) -> Iterator[ArgoCD]:
    """Argo CD on that control plane."""
    capture = request.config.pluginmanager.getplugin("capturemanager")
    kubectl = Kubectl(tools.find("kubectl"), plane.kubeconfig)
    with contextlib.ExitStack() as stack:
        with capture.global_and_fixture_disabled():
            made = stack.enter_context(argocd(kubectl, plane.folder / "argocd"))
        yield made
