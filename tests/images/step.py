"""Runs one long step: its words go to a log file, how far it is to the waiting person."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from tests.bed.shell import REPOSITORY
from tests.cluster.progress import Progress
from tests.images.errors import ImageError
from tests.images.store import folder

TOLD_LINES = 25


def run(
    title: str,
    command: Sequence[str | Path],
    phase: Callable[[str], str | None],
    environment: Mapping[str, str] | None = None,
) -> None:
    """Run a program from the repository's root to its end.

    Args:
        title: what it does, for the waiting person and the name of the log.
        command: program and arguments.
        phase: short name of what a line of its output says is being done now, if any.
        environment: variables on top of this process's own.

    Raises:
        ImageError: it is not installed, or failed; the message carries the end of the log.
    """
    log = folder() / f"{title.replace(' ', '-')}.log"
    progress = Progress(title)
    progress.phase = "starting"
    with progress, log.open("w", encoding="utf-8") as out:
        try:
            process = subprocess.Popen(
                [str(word) for word in command],
                cwd=REPOSITORY,
                env={**os.environ, **(environment or {})},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
            )
        except FileNotFoundError as error:
            raise ImageError(f"{title}: {command[0]} is not installed") from error
        with process:
            for line in process.stdout or ():
                out.write(line)
                progress.phase = phase(line) or progress.phase
    if process.returncode != 0:
        end = "\n".join(log.read_text(encoding="utf-8").splitlines()[-TOLD_LINES:])
        raise ImageError(f"{title} failed ({log}):\n{end}")
