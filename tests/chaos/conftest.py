"""A control plane that the chaos tests may break, a namespace on it, and a proxy before it."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.chaos.proxy import Proxy
from tests.chaos.upstream import Upstream
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
        control_plane(tmp_path_factory.mktemp("chaos")) as running,
    ):
        yield running


@pytest.fixture
async def bed(plane: ControlPlane) -> AsyncIterator[Bed]:
    """A namespace of the test's own, with the kind installed, a kubelet and hosts."""
    made = Bed(plane.kubeconfig, f"chaos-{secrets.token_hex(4)}")
    async with made.open() as opened:
        await install_kind(opened.api)
        await opened.make_namespace()
        async with opened.kubelet.run(), opened.hosts.run():
            yield opened
        await opened.drop_namespace()


@pytest.fixture
async def upstream(plane: ControlPlane, tmp_path: Path) -> AsyncIterator[Upstream]:
    """The API server, for proxies."""
    async with Upstream(plane.kubeconfig, tmp_path).open() as opened:
        yield opened


@pytest.fixture
async def proxy(upstream: Upstream) -> AsyncIterator[Proxy]:
    """A proxy without rules."""
    async with Proxy(upstream).run() as running:
        yield running
