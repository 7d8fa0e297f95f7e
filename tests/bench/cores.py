"""Which core does what: one for the server and all its workers, one for the load."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

CORES = sorted(os.sched_getaffinity(0))
SERVER_CORE = CORES[0]
LOAD_CORE = CORES[-1]


@contextlib.contextmanager
def on_one() -> Iterator[None]:
    """Keep this process, and the processes that it starts meanwhile, on the server's core."""
    os.sched_setaffinity(0, {SERVER_CORE})
    try:
        yield
    finally:
        os.sched_setaffinity(0, CORES)
