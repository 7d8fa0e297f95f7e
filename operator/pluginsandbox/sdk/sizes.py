"""Estimates how much memory a binding's state takes: what its reclaiming gives back."""

from __future__ import annotations

import itertools
import sys
import types
from collections.abc import Collection, Iterable
from typing import Any

# An estimate must not cost more than the reclaiming itself: a few milliseconds.
MAX_OBJECTS = 10_000
# From a long container this many elements speak for the rest.
SAMPLE = 1_000


def estimate(values: Iterable[Any]) -> int:
    """Return about how many bytes `values` and all they refer to take.

    At most `MAX_OBJECTS` objects are looked at, and of a container with more than `SAMPLE` elements
    the first of them, scaled up. An object that several values share counts once; memory that an
    extension module allocates counts only as far as its `__sizeof__` tells.
    """
    total, seen = 0.0, set[int]()
    waiting = [(value, 1.0) for value in values]
    while waiting and len(seen) < MAX_OBJECTS:
        value, weight = waiting.pop()
        if id(value) in seen or isinstance(value, (type, types.ModuleType)):
            continue  # classes and modules are nobody's state
        seen.add(id(value))
        total += sys.getsizeof(value, 0) * weight
        for part in _parts(value):
            each = weight * max(1.0, len(part) / SAMPLE)
            waiting.extend((element, each) for element in itertools.islice(part, SAMPLE))
    return int(total)


def _parts(value: Any) -> list[Collection[Any]]:
    if isinstance(value, (str, bytes, bytearray, int, float)):
        return []
    if isinstance(value, dict):
        return [value.keys(), value.values()]
    if isinstance(value, (list, tuple, set, frozenset)) or type(value).__name__ == "deque":
        return [value]
    names = getattr(value, "__struct_fields__", ()) or _slot_names(type(value))
    parts: list[Collection[Any]] = [[getattr(value, name, None) for name in names]]
    if isinstance(getattr(value, "__dict__", None), dict):
        parts.append([vars(value)])
    return parts


def _slot_names(cls: type) -> list[str]:
    names: list[str] = []
    for base in cls.__mro__:
        own = base.__dict__.get("__slots__", ())
        names.extend([own] if isinstance(own, str) else own)
    return [name for name in names if name not in {"__dict__", "__weakref__"}]
