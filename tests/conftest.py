"""Fixtures that every folder of tests may use: the real cluster, started on demand."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.bed import platform
from tests.bed.kubectl import Kubectl

# A busy machine makes an example slow; that says nothing of the law it tries. CI repeats the same
# examples, as Hypothesis does there by default; everywhere else each run explores new ones.
settings.register_profile(
    "lawful",
    deadline=None,
    derandomize="CI" in os.environ,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("lawful")

FOLDERS = ("unit", "integration", "chaos", "gitops", "e2e")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the quick tests first, so that a broken core is known before a cluster is built."""
    items.sort(key=lambda item: next((n for n, f in enumerate(FOLDERS) if f in item.path.parts), 9))


@pytest.fixture(scope="session")
def kubectl(request: pytest.FixtureRequest) -> Kubectl:
    """A client of the real cluster, which is started if it does not run."""
    capture = request.config.pluginmanager.getplugin("capturemanager")
    with capture.global_and_fixture_disabled():  # a first build takes minutes: show its progress
        return platform.connect()


@pytest.fixture(scope="session")
def kubeconfig(kubectl: Kubectl) -> Path:
    """Path of the administrator's kubeconfig of the real cluster."""
    return kubectl.kubeconfig


@pytest.fixture(scope="session")
def cluster(kubectl: Kubectl, request: pytest.FixtureRequest) -> platform.Platform:
    """The real cluster with our images on it."""
    capture = request.config.pluginmanager.getplugin("capturemanager")
    with capture.global_and_fixture_disabled():
        return platform.prepare()
