"""Programs that the node takes from the distribution, installed only when missing."""

from __future__ import annotations

import os
import shutil
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


def missing() -> list[str]:
    """The Debian packages whose programs this machine lacks."""
    lacking = {package for name, package in _PROGRAMS.items() if shutil.which(name) is None}
    if cni_folder() is None:
        lacking.add(_CNI_PACKAGE)
    return sorted(lacking)


def cni_folder() -> Path | None:
    """Where the CNI plugins are installed."""
    for folder in CNI_FOLDERS:
        if all((folder / plugin).exists() for plugin in _CNI_PLUGINS):
            return folder
    return None


def ensure() -> None:
    """Install what is missing, saying so.

    Raises:
        ClusterError: there is no apt-get here, or it failed.
    """
    lacking = missing()
    if not lacking:
        return
    if shutil.which("apt-get") is None:
        raise ClusterError(
            f"the local cluster needs what Debian has in the packages {', '.join(lacking)}; "
            "install their like, or name a cluster: PLUGINSANDBOX_KUBECONFIG=<file>"
        )
    say(f"installing Debian packages: {' '.join(lacking)}")
    quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    install = ("apt-get", "install", "-y", "--no-install-recommends", *lacking)
    try:
        run(*install, env=quiet, seconds=900)
    except ClusterError:
        # Lists that are old or absent are the usual cause.
        run("apt-get", "update", env=quiet, seconds=900)
        run(*install, env=quiet, seconds=900)
