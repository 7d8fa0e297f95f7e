"""All attacks, group by group."""

from __future__ import annotations

from tests.hostile.attacks import (
    files,
    interpreter,
    kernel,
    memory,
    network,
    processes,
    protocol,
    resources,
    time,
)
from tests.hostile.record import Attack

ATTACKS: tuple[Attack, ...] = (
    *memory.ATTACKS,
    *files.ATTACKS,
    *network.ATTACKS,
    *processes.ATTACKS,
    *kernel.ATTACKS,
    *resources.ATTACKS,
    *protocol.ATTACKS,
    *interpreter.ATTACKS,
    *time.ATTACKS,
)
