"""What the tests of the operator share: a control plane of their own, and a namespace on it."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.integration.operator.bed import Bed, install_kind
from tests.integration.operator.control_plane import ControlPlane, control_plane


@pytest.fixture(scope="session")
def plane(
    tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[ControlPlane]:
    """An API server and its controllers, for this session alone."""
    capture = request.config.pluginmanager.getplugin("capturemanager")
    with (
        capture.global_and_fixture_disabled(),  # a first build takes minutes: show its progress
        control_plane(tmp_path_factory.mktemp("plane")) as running,
    ):
        yield running


@pytest.fixture
def kubeconfig(plane: ControlPlane) -> Path:
    """The administrator's kubeconfig of that control plane."""
    return plane.kubeconfig


@pytest.fixture
async def bed(kubeconfig: Path) -> AsyncIterator[Bed]:
    """A namespace of the test's own, with the kind installed, a kubelet and hosts."""
    made = Bed(kubeconfig, f"test-{secrets.token_hex(4)}")
    async with made.open() as opened:
        await install_kind(opened.api)
        await opened.make_namespace()
        async with opened.kubelet.run(), opened.hosts.run():
            yield opened
        await opened.drop_namespace()
