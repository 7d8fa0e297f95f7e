"""A control plane that the chaos tests may break, a namespace on it, and a proxy before it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.chaos.proxy import Proxy
from tests.chaos.upstream import Upstream
from tests.integration.operator.control_plane import ControlPlane
from tests.integration.operator.fixtures import bed, plane

__all__ = ["bed", "plane"]


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
