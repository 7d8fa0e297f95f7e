"""YAML is read as Kubernetes reads it, and what would only hurt is refused in time."""

from __future__ import annotations

import contextlib
import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pluginsandbox.api.yaml_reader import MAX_BYTES, YamlError, read

BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{name}: &{name} [{', '.join([f'*{before}'] * 9)}]\n"
    for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("12:30", "12:30"),
        ("2026-11-23", "2026-11-23"),
        ("2026-11-23T12:00:00Z", "2026-11-23T12:00:00Z"),
        ("=", "="),
        ("1_000", "1_000"),
        ("0x1F", 31),
        ("0644", 420),
        ("-3", -3),
        ("1e3", 1000.0),
        ("1.5", 1.5),
        ("yes", True),
        ("off", False),
        ("~", None),
        ("'12'", "12"),
        ("64Mi", "64Mi"),
        ("|\n  class A:\n    pass\n", "class A:\n  pass\n"),
    ],
)
def test_a_plain_value_is_what_kubernetes_takes_it_for(text: str, value: Any) -> None:
    (document,) = read(f"key: {text}")
    assert document == {"key": value}


def test_documents_keep_their_numbers() -> None:
    assert read("a: 1\n---\n---\nb: 2\n") == [{"a": 1}, None, {"b": 2}]


def test_an_alias_is_its_anchor() -> None:
    assert read("a: &x {k: 1}\nb: *x\nc:\n  <<: *x\n  l: 2") == [
        {"a": {"k": 1}, "b": {"k": 1}, "c": {"k": 1, "l": 2}}
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\nb: 2\na: 3", r"line 3, column 1: the key 'a' occurs twice"),
        ("x:\n- {k: 1, k: 2}", r"line 2, column 10: the key 'k' occurs twice"),
        ("8080: a", r"line 1, column 1: a key must be a string: put 8080 in quotes"),
        ("on: a", r"a key must be a string: put on in quotes"),
        ("? [a, b]\n: c", r"a key must be a string"),
        ("a: [1", r"line 1, column 6: expected ',' or '\]'"),
        ("a: !!python/object/apply:os.system [ls]", r"could not determine a constructor"),
        ("a: *b", r"found undefined alias 'b'"),
        ("a: &a [*a]", r"an alias leads to the value that holds it"),
        ("a: \x01", r"special characters are not allowed"),
        ("[" * 2000, r"must not be nested that deeply"),
        ("a: b\n  c: d", r"line 2, column 4: mapping values are not allowed here"),
        (" " * (MAX_BYTES + 1), r"must be at most 8 MiB"),
    ],
    ids=lambda value: repr(value[:24]),
)
def test_what_is_wrong_is_refused_with_its_place(text: str, message: str) -> None:
    with pytest.raises(YamlError, match=message):
        read(text)


def test_a_bomb_of_aliases_is_refused_at_once() -> None:
    begun = time.monotonic()
    with pytest.raises(YamlError, match="more than 200000 values, aliases written out"):
        read(BOMB)
    assert time.monotonic() - begun < 5


@given(st.text())
def test_any_text_is_documents_or_an_error(text: str) -> None:
    with contextlib.suppress(YamlError):
        assert isinstance(read(text), list)


# JSON writes what lies beyond as two escapes, which are two characters in YAML.
TEXT = st.text(st.characters(max_codepoint=0xFFFF, exclude_categories=["Cs"]))
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | TEXT,
    lambda inner: st.lists(inner) | st.dictionaries(TEXT, inner),
    max_leaves=20,
)


@given(VALUES)
def test_json_is_read_as_what_was_written(value: Any) -> None:
    assert read(json.dumps(value)) == [value]
