"""Runs a measuring program on the server's core and reads the JSON that it prints."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from tests.bed import shell
from tests.bench.cores import SERVER_CORE

SECONDS = 150
"""Far longer than any of them takes on a quiet machine."""


def run(*words: str | Path) -> Any:
    """Return what a program printed.

    Raises:
        CommandError: It failed or took too long.

    """
    command = ("taskset", "--cpu-list", str(SERVER_CORE), *words)
    return json.loads(shell.run(*command, timeout=SECONDS).stdout)


def python(module: str, *words: str) -> Any:
    """Return what a module of ours printed."""
    return run(sys.executable, "-m", module, *words)
