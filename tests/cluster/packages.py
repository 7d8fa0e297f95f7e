"""Programs that are taken from the distribution, installed only when missing."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.cluster.errors import ClusterError
from tests.cluster.progress import say
from tests.cluster.system import run

CNI_FOLDERS = (Path("/usr/lib/cni"), Path("/opt/cni/bin"), Path("/usr/libexec/cni"))
_PROGRAMS = {
    "runc": "runc",
    "nft": "nftables",
    "conntrack": "conntrack",
    "ip": "iproute2",
    "nsenter": "util-linux",
}
_CNI_PLUGINS = ("bridge", "host-local")
_CNI_PACKAGE = "containernetworking-plugins"
# redis-server under its other name: Debian's package of that name would start one, too.
REDIS = {"redis-check-rdb": "redis-tools"}


def missing(programs: Mapping[str, str]) -> list[str]:
    """The packages among `programs`, by the name of their program, that this machine lacks."""
    return sorted({package for name, package in programs.items() if shutil.which(name) is None})


def cni_folder() -> Path | None:
    """Where the CNI plugins are installed."""
    for folder in CNI_FOLDERS:
        if all((folder / plugin).exists() for plugin in _CNI_PLUGINS):
            return folder
    return None


def ensure() -> None:
    """Install what the node needs and is missing, saying so.

    Raises:
        ClusterError: there is no apt-get here, or it failed.
    """
    install([*missing(_PROGRAMS), *([] if cni_folder() else [_CNI_PACKAGE])])


def install(lacking: Sequence[str]) -> None:
    """Install packages, saying so.

    Args:
        lacking: their names; none is fine.

    Raises:
        ClusterError: there is no apt-get here, or it failed.
    """
    if not lacking:
        return
    if shutil.which("apt-get") is None:
        raise ClusterError(
            f"this needs what Debian has in the packages {', '.join(lacking)}; "
            "install their like, or name a cluster: PLUGINSANDBOX_KUBECONFIG=<file>"
        )
    say(f"installing Debian packages: {' '.join(lacking)}")
    quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    command = ("apt-get", "install", "-y", "--no-install-recommends", *lacking)
    try:
        run(*command, env=quiet, seconds=900)
    except ClusterError:
        # Lists that are old or absent are the usual cause.
        run("apt-get", "update", env=quiet, seconds=900)
        run(*command, env=quiet, seconds=900)
