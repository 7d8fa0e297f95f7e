"""Builds with buildah, for machines without a Docker engine.

There is no registry to take a base from, so the base is made by debootstrap, once. Storage is our
own folder: nothing of the user's is touched, and it can be removed whole.
"""

from __future__ import annotations

import hashlib
import re
import shutil
from pathlib import Path

from tests.bed import shell
from tests.images import machine, step
from tests.images.store import folder

SUITE = "trixie"
PACKAGES = ("libstdc++6", "media-types", "netbase", "python3", "python3-pip", "tzdata")
"""What the Dockerfile would install, so that a build needs no package archive of Debian's."""
_VERSION = hashlib.sha256(" ".join((SUITE, *PACKAGES)).encode()).hexdigest()[:8]
BASE = f"localhost/pluginsandbox/base:{SUITE}-{_VERSION}"
STAMP = f"base-{_VERSION}.id"
STORAGE_LIMIT = 3 << 30
"""Bytes of storage beyond which the cached layers go; a full set takes a third of it."""
CHROOT = {"BUILDAH_ISOLATION": "chroot"}


def base_id() -> str:
    """What tells the base in storage apart from others; makes one if there is none."""
    stamp = folder() / STAMP
    if not stamp.exists() or not _storage().is_dir():
        machine.ensure_packages()
        _make_base()
        printed = shell.run(
            *_buildah("inspect", "--type", "image", "--format", "{{.FromImageID}}"), BASE
        )
        stamp.write_text(printed.stdout.strip())
    return stamp.read_text()


def forget_base() -> None:
    """Drop the base, so that the next build takes Debian's latest packages."""
    (folder() / STAMP).unlink(missing_ok=True)


def build(target: str, tag: str, archive: Path) -> None:
    """Build one target of the Dockerfile and save it.

    Raises:
        ImageError: the build failed.
    """
    machine.ensure_packages()
    scratch = folder() / "scratch"
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(mode=0o700)
    try:
        made = scratch / "image.id"
        options = ("--layers", "--pull-never", "--iidfile", made, "--build-arg", f"BASE={BASE}")
        secrets = machine.secrets(scratch)
        command = _buildah("build", *options, *secrets, "--target", target)
        step.run(f"building image {target}", [*command, "."], _phase, CHROOT)
        part = scratch / "image.tar"
        shell.run(*_buildah("push", made.read_text()), f"docker-archive:{part}:{tag}")
        part.replace(archive)
    finally:
        shutil.rmtree(scratch)
    _trim()


def _make_base() -> None:
    """Make the base image from Debian's packages."""
    root = folder() / "base"
    shutil.rmtree(root, ignore_errors=True)
    include = f"--include={','.join(PACKAGES)}"
    command = ["debootstrap", "--variant=minbase", include, SUITE, str(root)]
    if mirror := machine.debian_mirror():
        command.append(mirror)
    step.run("making the base image", command, _debootstrap_phase)
    container = shell.run(*_buildah("from", "scratch")).stdout.strip()
    try:
        shell.run(*_buildah("add", "--quiet", container, root, "/"))
        shell.run(*_buildah("commit", "--quiet", container, BASE))
    finally:
        shell.run(*_buildah("rm", container))
        shutil.rmtree(root)


def _trim() -> None:
    """Drop cached layers when storage has grown too much."""
    usage = shell.run("du", "--summarize", "--block-size=1", _storage(), check=False).stdout
    if int(usage.split()[0]) > STORAGE_LIMIT:
        shell.run(*_buildah("rmi", "--prune", "--force"))


def _storage() -> Path:
    return folder() / "storage"


def _buildah(*words: str | Path) -> list[str | Path]:
    # overlay: with vfs each layer would be a full copy of all below it.
    where = ("--root", _storage(), "--runroot", folder() / "run", "--storage-driver", "overlay")
    return ["buildah", *where, *words]


def _phase(line: str) -> str | None:
    found = re.match(r"(?:\[(\d+/\d+)\] )?STEP (\d+/\d+): (\w+ \S+( \S+)?)", line)
    return f"stage {found[1]}, {found[3]}" if found else None


def _debootstrap_phase(line: str) -> str | None:
    found = re.match(r"I: (Retrieving|Validating|Extracting|Unpacking|Configuring)(.*)", line)
    return f"{found[1].lower()}{found[2].rstrip('.')}" if found else None
