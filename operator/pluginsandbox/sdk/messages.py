"""What a caller is told of a plugin's exception: bounded, and without paths of the host."""

from __future__ import annotations

import contextvars
import functools
import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec

MAX_MESSAGE = 2000


def describe(error: BaseException, roots: Sequence[str]) -> tuple[str, str]:
    """Return the name of an exception's class and its message.

    Args:
        error: What the plugin raised. Its `__str__` is the plugin's code.
        roots: Directories that must not be named; what lies below them is named relative to them.

    """
    first = error.args[0] if error.args else None
    try:
        message = _no_value(first) if isinstance(first, contextvars.ContextVar) else str(error)
    except Exception as broken:  # noqa: BLE001  # a broken __str__ must not hide the error
        message = f"(its __str__ raised {type(broken).__name__})"
    return type(error).__name__, relative(message, roots)[:MAX_MESSAGE]


def relative(text: str, roots: Sequence[str]) -> str:
    """Return `text` with every path below `roots`, or of Python itself, made relative to it."""
    for root in (*roots, *_python_roots()):
        if root in text:
            path = re.escape(root.rstrip(os.sep))
            text = re.sub(path + r"(?:/|(?![\w.-]))", lambda found: _left(found[0]), text)
    return text


def _left(path: str) -> str:
    return "" if path.endswith(os.sep) else "."


def _no_value(variable: contextvars.ContextVar[object]) -> str:
    attribute = variable.name.rpartition(".")[2]
    return f"slot {attribute!r} has no value yet: set it in on_start, or give it a default"


@functools.cache
def _python_roots() -> tuple[str, ...]:
    packages, library = Path(msgspec.__file__).parents[1], Path(os.__file__).parent
    paths = {str(packages), str(library), sys.prefix, sys.base_prefix}
    # Longest first: the library lies below the prefix. A prefix of /usr would tell nothing.
    return tuple(sorted((path for path in paths if path.count("/") > 1), key=len, reverse=True))
