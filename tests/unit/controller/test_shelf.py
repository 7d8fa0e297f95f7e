"""The shelf: a dictionary of bodies, whatever it keeps packed."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from pluginsandbox.controller.shelf import Shelf

KEYS = st.sampled_from("abcdef")
LEAVES = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=8)
BODIES = st.dictionaries(
    st.text(max_size=8),
    st.recursive(LEAVES, lambda inner: st.lists(inner, max_size=3), max_leaves=6),
    max_size=3,
)
STEPS = st.lists(st.tuples(st.sampled_from(["put", "get", "drop"]), KEYS, BODIES))


@given(STEPS, st.integers(1, 4))
def test_it_holds_what_a_dictionary_would(
    steps: list[tuple[str, str, dict[str, Any]]], most: int
) -> None:
    shelf: Shelf[str] = Shelf(most)
    plain: dict[str, dict[str, Any]] = {}
    for step, key, body in steps:
        match step:
            case "put":
                shelf[key] = plain[key] = body
            case "drop":
                assert shelf.pop(key, None) == plain.pop(key, None)
            case _:
                assert shelf.get(key) == plain.get(key)
        assert set(shelf) == set(plain)
    assert dict(shelf) == plain


def test_what_is_looked_at_again_and_again_is_one_object() -> None:
    shelf: Shelf[str] = Shelf(1)
    shelf["a"], shelf["b"] = {"a": 1}, {"b": 1}
    assert shelf["a"] is shelf["a"]
    assert shelf["b"] is shelf["b"]
