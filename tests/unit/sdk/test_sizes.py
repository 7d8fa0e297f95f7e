from __future__ import annotations

import collections
import dataclasses
import sys
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pluginsandbox.sdk.sizes import MAX_OBJECTS, estimate


class Struct(msgspec.Struct):
    text: str


@dataclasses.dataclass
class Record:
    text: str


@dataclasses.dataclass(slots=True)
class Slotted:
    text: str


TEXT = "x" * 10_000


@pytest.mark.parametrize(
    "value",
    [
        TEXT,
        [TEXT],
        {TEXT: 1},
        {"k": TEXT},
        {TEXT},
        (TEXT,),
        Struct(TEXT),
        Record(TEXT),
        Slotted(TEXT),
        collections.deque([TEXT]),
        {"a": [Record(TEXT)]},
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_a_value_refers_to_is_counted(value: Any) -> None:
    assert 10_000 < estimate([value]) < 12_000


def test_a_shared_or_circular_object_counts_once() -> None:
    loop: list[Any] = [TEXT, TEXT]
    loop.append(loop)
    assert estimate([loop, loop]) < 12_000


def test_classes_and_modules_are_nobodys_state() -> None:
    assert estimate([sys, Struct]) == 0


def test_a_long_container_is_judged_by_its_beginning() -> None:
    long = [f"{number:050d}" for number in range(200_000)]
    true = sys.getsizeof(long) + sum(map(sys.getsizeof, long))
    assert true * 0.9 < estimate([long]) < true * 1.1


def test_the_work_is_bounded() -> None:
    deep: list[Any] = []
    for _ in range(3 * MAX_OBJECTS):
        deep = [deep]
    assert estimate([deep]) > 0


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(JSON)
def test_any_value_has_a_size(value: Any) -> None:
    assert estimate([value]) >= sys.getsizeof(value)
