"""What the zygote does before it imports anything: it is executed with a call of `main`."""

from __future__ import annotations

import gc
import os


def main(descriptor: int, parent: int) -> None:
    """Become the zygote; see there for the arguments."""
    # What is imported stays, so to look for garbage meanwhile is in vain.
    gc.disable()
    _import_without_hooks()
    from pluginsandbox.host import zygote  # noqa: PLC0415 - see above

    zygote.main(descriptor, parent)


def _import_without_hooks() -> None:
    """Import what else would mend its locks in each fork, which takes 0.4 ms there.

    The zygote forks from its only thread and outside both, so that no lock is held.
    """
    register = os.register_at_fork
    os.register_at_fork = lambda **_: None
    try:
        import logging  # noqa: F401, PLC0415
        import threading  # noqa: F401, PLC0415
    finally:
        os.register_at_fork = register
