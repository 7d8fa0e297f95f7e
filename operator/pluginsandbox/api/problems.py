"""Words what is wrong with an object: one line for each field."""

from __future__ import annotations

import re
from collections.abc import Iterable

from pydantic import ValidationError
from pydantic_core import ErrorDetails

MAX_LINES = 8
MAX_VALUE = 80
OWN_TYPES = frozenset({"rule", "duplicate", "quantity"})
"""Errors that `api.model` and `api.quantity` raise: their messages already say all."""


def explain(error: ValidationError) -> tuple[str, ...]:
    """Return one line for each field that is wrong: its path, and what it must be."""
    return tuple(
        f"{path(problem['loc'])}: {_words(problem)}" for problem in error.errors(include_url=False)
    )


def summarize(error: ValidationError) -> str:
    """Return the same in one line, for the message of a condition; the first 8 fields."""
    lines = explain(error)
    more = f"; and {len(lines) - MAX_LINES} more" if len(lines) > MAX_LINES else ""
    return "; ".join(lines[:MAX_LINES]) + more


def path(location: Iterable[int | str]) -> str:
    """Write the place of a field as users do: `spec.plugins[0].name`."""
    parts = (f"[{part}]" if isinstance(part, int) else f".{part}" for part in location)
    return "".join(parts).removeprefix(".") or "object"


def _words(problem: ErrorDetails) -> str:
    if problem["type"] == "missing":
        return "must be set"
    if problem["type"] in OWN_TYPES:
        return problem["msg"]
    message = re.sub(r"^\w+ should ", "must ", problem["msg"])
    value = repr(problem["input"])
    if len(value) > MAX_VALUE:
        return message
    return f"{message}, not {value}"
