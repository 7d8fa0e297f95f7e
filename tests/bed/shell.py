"""Runs other programs and says clearly what failed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[2]


class CommandError(RuntimeError):
    """A program failed; the message holds its command line and the end of what it printed."""


def run(
    *words: str | Path,
    stdin: str | None = None,
    environment: Mapping[str, str] | None = None,
    timeout: float = 600,
    check: bool = True,
) -> subprocess.CompletedProcess[str]:
    """Run a program from the repository's root and return what it printed.

    Args:
        words: The program and its arguments.
        stdin: What it reads on standard input; nothing unless given.
        environment: Variables on top of this process's own.
        timeout: Seconds after which it is killed.
        check: Raise when it exits with other than 0.

    Raises:
        CommandError: It failed or took too long.

    """
    command = [str(word) for word in words]
    try:
        done = subprocess.run(
            command,
            cwd=REPOSITORY,
            input=stdin if stdin is not None else "",
            env={**os.environ, **(environment or {})},
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise CommandError(f"{_line(command)}: no end after {timeout:.0f} s") from error
    if check and done.returncode != 0:
        said = "\n".join((done.stdout + done.stderr).strip().splitlines()[-15:])
        raise CommandError(f"{_line(command)}: exit status {done.returncode}\n{said}")
    return done


def module(name: str, *words: str | Path, show: bool = True) -> str:
    """Run `python -m name words...`; its progress goes to our standard error.

    Returns:
        What it printed on standard output.

    Raises:
        CommandError: It failed.

    """
    done = subprocess.run(
        [sys.executable, "-m", name, *(str(word) for word in words)],
        cwd=REPOSITORY,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=None if show else subprocess.PIPE,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise CommandError(
            f"python -m {name} {' '.join(map(str, words))}: exit status {done.returncode}\n"
            f"{done.stdout[-2000:]}{(done.stderr or '')[-2000:]}"
        )
    return done.stdout


def parse_json(text: str) -> Any:
    """Read JSON that a program printed."""
    return json.loads(text)


def _line(command: list[str]) -> str:
    return " ".join(command)[:300]
