"""Estimates how much memory a binding's state takes: what its reclaiming gives back."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Iterable, Sized
from typing import Any

# An estimate must not cost more than the reclaiming itself: a few milliseconds.
MAX_OBJECTS = 10_000
# From a long container this many elements speak for the rest.
SAMPLE = 1_000


class _Survey:
    def __init__(self) -> None:
        self.seen: set[int] = set()

    def size(self, value: Any) -> float:
        if id(value) in self.seen or len(self.seen) >= MAX_OBJECTS:
            return 0.0
        self.seen.add(id(value))
        if isinstance(value, (type, type(sys))):
            return 0.0  # classes and modules are not the binding's own
        return sys.getsizeof(value, 0) + sum(map(self._elements, _parts(value)))

    def _elements(self, container: Iterable[Any]) -> float:
        count = len(container) if isinstance(container, Sized) else 0
        total = sum(map(self.size, itertools.islice(container, SAMPLE)))
        return total * max(1.0, count / SAMPLE)


def estimate(values: Iterable[Any]) -> int:
    """Return about how many bytes `values` and all they refer to take.

    At most `MAX_OBJECTS` objects are looked at, and of a container with more than `SAMPLE` elements
    the first of them, scaled up. An object that several values share counts once; memory that an
    extension module allocates counts only as far as its `__sizeof__` tells.
    """
    survey = _Survey()
    return int(sum(map(survey.size, values)))


def _parts(value: Any) -> list[Iterable[Any]]:
    if isinstance(value, (str, bytes, bytearray, int, float)):
        return []
    if isinstance(value, dict):
        return [value.keys(), value.values()]
    if isinstance(value, (list, tuple, set, frozenset)) or type(value).__name__ == "deque":
        return [value]
    names = getattr(value, "__struct_fields__", ()) or _slot_names(type(value))
    parts: list[Iterable[Any]] = [[getattr(value, name, None) for name in names]]
    if isinstance(getattr(value, "__dict__", None), dict):
        parts.append([vars(value)])
    return parts


def _slot_names(cls: type) -> list[str]:
    names: list[str] = []
    for base in cls.__mro__:
        own = base.__dict__.get("__slots__", ())
        names.extend([own] if isinstance(own, str) else own)
    return [name for name in names if name not in {"__dict__", "__weakref__"}]
