"""What the kernel says of one worker's process, asked so that the answer costs the host little."""

from __future__ import annotations

import time

from pluginsandbox.host import kernel, memory

# Between two looks with nothing to do in between; a worker that waits for its next call uses none.
IDLE_CPU_SECONDS = 0.1
# A worker can cut its memory into so many pieces that the kernel takes 0.1 s to measure it, while
# the host stands still. Then it is believed to stay as it is, for a hundred times as long.
SLOW_SECONDS, SLOW_FACTOR = 0.01, 100
BUSY = -1


class Vitals:
    """Size and use of the CPU of one process."""

    def __init__(self) -> None:
        self._size, self._measure_again = 0, 0.0
        self._tasks, self._used = BUSY, 0.0

    def size(self, pid: int) -> int:
        """Return the proportional set size in bytes; 0 if the process is gone."""
        started = time.perf_counter()
        if started < self._measure_again:
            return self._size
        self._size = memory.proportional_bytes(pid)
        took = time.perf_counter() - started
        if took > SLOW_SECONDS:
            self._measure_again = started + took * SLOW_FACTOR
        return self._size

    def burns(self, pid: int, tasks: int) -> bool:
        """Whether it used the CPU since the last look, with nothing to do then or since.

        Args:
            pid: The process.
            tasks: How many it was given so far; `BUSY` if it has one now.

        """
        used = kernel.cpu_seconds(pid)
        tasks_before, used_before = self._tasks, self._used
        self._tasks, self._used = tasks, used
        return tasks == tasks_before != BUSY and used - used_before > IDLE_CPU_SECONDS
