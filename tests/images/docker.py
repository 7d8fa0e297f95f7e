"""Builds with a Docker engine."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path

from tests.bed import shell
from tests.images import machine, step

BASE = "debian:trixie-slim"


def build(target: str, tag: str, archive: Path) -> None:
    """Build one target of the Dockerfile, tag it and save it.

    Raises:
        ImageError: the build failed.
    """
    with tempfile.TemporaryDirectory() as scratch:
        options = ("--progress", "plain", "--target", target, "--tag", tag)
        secrets = machine.secrets(Path(scratch))
        command = ["docker", "build", *options, *secrets, "."]
        step.run(f"building image {target}", command, _phase, {"DOCKER_BUILDKIT": "1"})
    part = archive.with_suffix(".part")
    shell.run("docker", "save", "--output", part, tag)
    part.replace(archive)


def _phase(line: str) -> str | None:
    found = re.match(r"#\d+ (\[.*)", line)
    return found[1][:60] if found else None
