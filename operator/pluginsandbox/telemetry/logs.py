"""One structured line for each decision, on standard error: JSON for machines, text for a terminal.

Called once by each process's entry point. Names of fields: `event`, `level`, `time` (RFC 3339,
UTC) and what the caller binds; never an argument of a call, a secret or a context id in clear.
"""

from __future__ import annotations

import logging
import sys

import structlog

LEVELS = ("debug", "info", "warning", "error")


def configure(level: str = "info", *, json: bool | None = None) -> None:
    """Set up structlog for this process.

    Args:
        level: Lowest level that is written; one of `LEVELS`.
        json: Write JSON lines; by default exactly when standard error is no terminal.

    Raises:
        ValueError: `level` is not one of `LEVELS`.

    """
    if level not in LEVELS:
        raise ValueError(f"log level {level!r} must be one of {', '.join(LEVELS)}")
    machine = not sys.stderr.isatty() if json is None else json
    renderer: structlog.types.Processor = (
        structlog.processors.JSONRenderer() if machine else structlog.dev.ConsoleRenderer()
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, level.upper())),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
