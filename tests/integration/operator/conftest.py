"""What the tests of the operator share: a control plane of their own, and a namespace on it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.integration.operator.control_plane import ControlPlane
from tests.integration.operator.fixtures import bed, plane

__all__ = ["bed", "plane"]


@pytest.fixture
def kubeconfig(plane: ControlPlane) -> Path:
    """The administrator's kubeconfig of that control plane."""
    return plane.kubeconfig
