"""What a build has to know of this machine: its package mirrors and whom it trusts.

None of it is written into an image: it is given to the builder as files that exist only while a
command of the Dockerfile runs.
"""

from __future__ import annotations

import configparser
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.bed import shell
from tests.cluster.progress import say
from tests.images.errors import ImageError

PACKAGES = {
    "/usr/sbin/debootstrap": "debootstrap",
    "/usr/share/keyrings/debian-archive-keyring.gpg": "debian-archive-keyring",
    "/usr/bin/buildah": "buildah",
}
PIP_OPTIONS = ("index-url", "extra-index-url", "trusted-host", "proxy", "timeout", "retries")
SYSTEM_BUNDLE = "/etc/ssl/certs/ca-certificates.crt"
CA_INSIDE = "/run/secrets/ca.pem"


def has_docker() -> bool:
    """Whether a Docker engine answers."""
    if shutil.which("docker") is None:
        return False
    answer = subprocess.run(
        ["docker", "version", "--format", "{{.Server.Version}}"],
        capture_output=True,
        timeout=20,
        check=False,
    )
    return answer.returncode == 0


def ensure_packages() -> None:
    """Install what building without Docker needs, saying so.

    Raises:
        ImageError: this is no Debian, this user is not root, or apt-get failed.
    """
    lacking = [package for path, package in PACKAGES.items() if not Path(path).exists()]
    if lacking and shutil.which("apt-get") is None:
        raise ImageError(
            f"building images needs a Docker engine, or these packages: {' '.join(lacking)}"
        )
    if os.geteuid() != 0:
        raise ImageError("building images needs a Docker engine that answers, or root")
    if not lacking:
        return
    say(f"installing Debian packages: {' '.join(lacking)}")
    install = ("apt-get", "install", "--yes", "--no-install-recommends", *lacking)
    quiet = {"DEBIAN_FRONTEND": "noninteractive"}
    if shell.run(*install, environment=quiet, check=False).returncode != 0:
        shell.run("apt-get", "update")  # lists that are old or absent are the usual cause
        shell.run(*install, environment=quiet)


def debian_mirror() -> str | None:
    """Where this machine takes Debian's packages from; None to let debootstrap choose."""
    done = shell.run(
        *("apt-get", "indextargets", "--format", "$(ORIGIN) $(SITE)", "Created-By: Packages"),
        check=False,
    )
    sites = (
        line.split(" ", 1)[1] for line in done.stdout.splitlines() if line.startswith("Debian ")
    )
    return next(sites, None)


def secrets(folder: Path) -> Sequence[str]:
    """Write pip's settings and the trusted certificates for the time of a build.

    Args:
        folder: where to put the files; the caller removes it.

    Returns:
        Options that hand them to `docker build` or `buildah build`.
    """
    settings = _pip_settings()
    bundle = settings.pop("cert", os.environ.get("SSL_CERT_FILE", SYSTEM_BUNDLE))
    config = configparser.ConfigParser(interpolation=None)
    config["global"] = {key: settings[key] for key in PIP_OPTIONS if key in settings}
    options = []
    if Path(bundle).is_file():
        config["global"]["cert"] = CA_INSIDE
        options += ["--secret", f"id=ca.pem,src={bundle}"]
    path = folder / "pip.conf"
    path.touch(mode=0o600)  # an index's address may hold a password
    with path.open("w", encoding="utf-8") as out:
        config.write(out)
    return [*options, "--secret", f"id=pip.conf,src={path}"]


def _pip_settings() -> dict[str, str]:
    """Return what pip goes by here: files first, then variables, which win."""
    listed = shell.run(sys.executable, "-m", "pip", "config", "list", check=False).stdout
    found: dict[str, str] = {}
    for line in sorted(listed.splitlines(), key=lambda line: line.startswith(":env:")):
        name, _, value = line.partition("=")
        section, _, key = name.rpartition(".")
        if section in ("global", "install", ":env:"):
            found[key] = value.strip("'\"").replace("\\n", "\n")
    return found
