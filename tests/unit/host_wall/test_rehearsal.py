"""What the zygote does before it forks leaves no trace in it."""

from __future__ import annotations

import gc
import logging
import signal
import sys

from pluginsandbox.host.rehearsal import rehearse
from pluginsandbox.sdk import Plugin


def test_a_rehearsal_leaves_nothing_behind() -> None:
    def traces() -> tuple[object, ...]:
        gc.collect()
        return (
            set(sys.modules),
            list(sys.path),
            [cls.__name__ for cls in Plugin.__subclasses__()],
            signal.getsignal(signal.SIGALRM),
            signal.getitimer(signal.ITIMER_REAL)[1],
            list(logging.getLogger().handlers),
            sys.stdout,
        )

    rehearse()  # imports what a first call imports
    before = traces()
    rehearse()
    assert traces() == before
