"""A control plane with a second API server on its etcd, for the operator alone.

So that server can die while everybody else goes on, changes what the operator does not see, and
sees what the operator does.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import yaml
from typing_extensions import override

from tests.integration.operator.control_plane import API, ControlPlane, free_port

TWIN = f"{API}@operator"


class TwinPlane(ControlPlane):
    """The processes of `ControlPlane`, and the operator's own API server."""

    @property
    def operators(self) -> Path:
        """The administrator's kubeconfig of the operator's API server."""
        return self.folder / "kubeconfig-of-the-operator"

    @override
    def start(self) -> None:
        super().start()
        self.ports[TWIN] = free_port()
        self.spawn(TWIN)  # it shows the certificate that the other one has made
        self.wait_ready(TWIN)
        config = yaml.safe_load(self.kubeconfig.read_text())
        config["clusters"][0]["cluster"]["server"] = self.url(TWIN)
        self.operators.touch(mode=0o600)
        self.operators.write_text(yaml.safe_dump(config))

    @override
    def _flags(self, name: str) -> dict[str, object]:
        if name != TWIN:
            return super()._flags(name)
        audit = self.folder / "audit-of-the-operator.log"
        return super()._flags(API) | {"secure-port": self.ports[TWIN], "audit-log-path": audit}


@contextlib.contextmanager
def twin_plane(folder: Path) -> Iterator[TwinPlane]:
    """Run one; its processes end with the block."""
    plane = TwinPlane(folder)
    try:
        plane.start()
        yield plane
    finally:
        plane.stop()
