"""A control plane and a bed on it: fixtures for every folder whose tests need an operator alone."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from tests.integration.operator.bed import Bed, place
from tests.integration.operator.control_plane import ControlPlane, control_plane


@pytest.fixture(scope="session")
def plane(
    tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[ControlPlane]:
    """An API server and its controllers, for this session and this folder alone."""
    capture = request.config.pluginmanager.getplugin("capturemanager")
    with (
        capture.global_and_fixture_disabled(),  # a first build takes minutes: show its progress
        control_plane(tmp_path_factory.mktemp("plane")) as running,
    ):
        yield running


@pytest.fixture
async def bed(plane: ControlPlane) -> AsyncIterator[Bed]:
    """A namespace of the test's own, with the kind installed, a kubelet and hosts."""
    async with place(plane.kubeconfig, "test") as opened:
        yield opened
