"""Where kubectl and helm are: on this machine, or in our cache once they are built."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.cluster import build, versions


def find(name: str) -> Path:
    """The path of ``kubectl`` or ``helm``.

    What this machine has on its PATH is good enough; else our own build is used, which for helm
    takes two minutes the first time. The local node brings its own kubectl.

    Raises:
        ClusterError: it could not be built.
    """
    built = build.destination(versions.KUBERNETES) / name
    if built.exists():
        return built
    installed = shutil.which(name)
    return Path(installed) if installed else build.program(name)
