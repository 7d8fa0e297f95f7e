"""What host, zygote and a worker that is not yet confined say to each other.

All trusted: the zygote never runs plugin code, and `Start` is the first thing a worker reads, when
no plugin code is in it yet. The zygote itself learns nothing of a plugin but the paths that its
worker may read, so no worker inherits another plugin's configuration.
"""

from __future__ import annotations

import msgspec

MESSAGE_BYTES = 64 << 10


class Spawn(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """Host to zygote: fork a worker. Comes with the worker's end of its socket."""

    worker: int
    readable: tuple[str, ...]
    """Files and directories that it may read besides the interpreter's."""


class Spawned(msgspec.Struct, array_like=True, frozen=True, gc=False, tag=1):
    """Zygote to host: the worker is there. Comes with its pidfd."""

    worker: int
    pid: int


class SpawnFailed(msgspec.Struct, array_like=True, frozen=True, gc=False, tag=2):
    """Zygote to host: there was no forking."""

    worker: int
    message: str


class Reaped(msgspec.Struct, array_like=True, frozen=True, gc=False, tag=3):
    """Zygote to host: the worker is gone; `status` is what waitpid said."""

    worker: int
    status: int
    peak_bytes: int
    """Most that it ever had resident, without what it began with."""


class Listening(msgspec.Struct, array_like=True, frozen=True, gc=False, tag=4):
    """Zygote to host, first: what tells of workers' probing calls. Comes with a descriptor."""


FromZygote = Spawned | SpawnFailed | Reaped | Listening


class Start(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """Host to worker, first: what to load."""

    namespace: str
    sandbox: str
    plugin: str
    root: str
    entry_point: str
    config: dict[str, str]
    secrets: dict[str, str]
    memory_bytes: int
    result_bytes: int
    durable_bytes: int
    concurrency: int
    strict: bool
    """Whether the whole wall must stand."""
    describe: bool
    """Whether `Loaded` is to list the functions."""
    probe: bool
    """Whether it is to try the acts of `acts` instead of loading a plugin."""
