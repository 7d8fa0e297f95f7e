"""Running the machine's own tools (ip, nft, ctr, …) and telling well when one fails."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.cluster.errors import ClusterError


def run(
    *command: str | Path,
    text: str | None = None,
    env: Mapping[str, str] | None = None,
    seconds: float = 120.0,
) -> str:
    """Run a program to its end.

    Args:
        command: program and arguments.
        text: its standard input; none by default.
        env: its environment; ours by default.
        seconds: how long it may take.

    Returns:
        Its standard output.

    Raises:
        ClusterError: it could not be started, failed or took too long.
    """
    shown = " ".join(str(part) for part in command)
    try:
        done = _complete(command, text, env, seconds)
    except FileNotFoundError as error:
        raise ClusterError(f"{command[0]} is not installed ({shown})") from error
    except subprocess.TimeoutExpired as error:
        raise ClusterError(f"{shown}: took more than {seconds:.0f} s") from error
    if done.returncode != 0:
        raise ClusterError(f"{shown}: {done.stderr.strip() or f'exit code {done.returncode}'}")
    return done.stdout


def succeeds(*command: str | Path, seconds: float = 20.0) -> bool:
    """Whether a program can be started and ends well in time; its output is dropped."""
    try:
        return _complete(command, None, None, seconds).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


def _complete(
    command: Sequence[str | Path],
    text: str | None,
    env: Mapping[str, str] | None,
    seconds: float,
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        input=text,
        stdin=subprocess.DEVNULL if text is None else None,
        env=env,
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )
