"""Words what is wrong with an object: one line for each field."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from pluginsandbox.api.sandbox import PluginSandbox
from pluginsandbox.api.structural import structural

MAX_LINES = 8
MAX_VALUE = 80
OWN_TYPES = frozenset({"rule", "duplicate", "quantity"})
"""Errors that `api.model` and `api.quantity` raise: their messages already say all."""


def explain(error: ValidationError, model: type[BaseModel] = PluginSandbox) -> tuple[str, ...]:
    """Return one line for each field that is wrong: its path, and what it must be.

    Args:
        error: What pydantic found.
        model: What was read.

    """
    problems = error.errors(include_url=False)
    return tuple(
        f"{path(problem['loc'])}: {_words(problem, model)}"
        for problem in problems
        if not _follows(problem, problems)
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


def _follows(problem: ErrorDetails, problems: Iterable[ErrorDetails]) -> bool:
    """Tell whether a list is only too short because its items are wrong."""
    place = problem["loc"]
    return problem["type"] == "too_short" and any(
        other["loc"][: len(place)] == place and other is not problem for other in problems
    )


def _words(problem: ErrorDetails, model: type[BaseModel]) -> str:
    if problem["type"] == "missing":
        return "must be set"
    if problem["type"] == "extra_forbidden":
        return f"no such field; there are: {', '.join(_siblings(problem['loc'], model))}"
    if problem["type"] in OWN_TYPES:
        return problem["msg"]
    value = repr(problem["input"])
    shown = f", not {value}" if len(value) <= MAX_VALUE else ""
    if problem["type"] == "string_pattern_mismatch":
        meaning = _schema(problem["loc"], model).get("description", "")
        return f"must match {problem['ctx']['pattern']}{shown}. {meaning}".rstrip(". ") + "."
    return re.sub(r"^\w+ should ", "must ", problem["msg"]) + shown


def _siblings(location: tuple[int | str, ...], model: type[BaseModel]) -> list[str]:
    return sorted(_schema(location[:-1], model).get("properties", {}))


def _schema(location: tuple[int | str, ...], model: type[BaseModel]) -> Mapping[str, Any]:
    """Find a field's schema, which knows what pydantic's errors do not tell."""
    found = _root(model)
    for part in location:
        within = found.get("items") or found.get("additionalProperties")
        found = within or found.get("properties", {}).get(part) or {}
    return found


@functools.cache
def _root(model: type[BaseModel]) -> Mapping[str, Any]:
    return structural(model)
