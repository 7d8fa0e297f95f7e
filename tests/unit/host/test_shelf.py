"""What is published: how much, for how long, and that nothing of it leaks."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pluginsandbox.host.shelf import NAMES, Shelf, Version
from tests.unit.host.fake_runtime import plugin

LIMIT = 100


@pytest.fixture
def shelf() -> Iterator[Shelf]:
    shelf = Shelf([plugin("a", published_bytes=LIMIT), plugin("b"), plugin("c", published_bytes=9)])
    yield shelf
    shelf.close()


def lend(shelf: Shelf, owner: str, name: str) -> Version:
    version = shelf.find(owner, name)
    assert version is not None
    version.borrowed += 1
    return version


def read(version: Version) -> bytes:
    return os.pread(version.descriptor, 1000, 0)


def test_each_publishes_within_its_own_limit(shelf: Shelf) -> None:
    assert shelf.refusal("a", "x", LIMIT) == ""
    shelf.put("a", "x", bytes(60))
    assert shelf.refusal("a", "x", LIMIT) == ""
    assert "under other names" in shelf.refusal("a", "y", 41)
    assert shelf.refusal("a", "y", 40) == ""
    assert shelf.refusal("c", "x", 9) == ""
    assert "publishedBytes is not set" in shelf.refusal("b", "x", 1)
    assert "must be 1 to 63" in shelf.refusal("a", "", 1)


def test_names_are_few(shelf: Shelf) -> None:
    for number in range(NAMES):
        shelf.put("a", str(number), b"x")
    assert "names are published already" in shelf.refusal("a", "more", 1)
    assert shelf.refusal("a", "3", 1) == ""
    shelf.put("a", "3", b"")
    assert shelf.refusal("a", "more", 1) == ""


def test_a_replaced_version_lasts_as_long_as_the_calls_that_borrowed_it(shelf: Shelf) -> None:
    shelf.put("a", "x", b"old" * 20)
    old = lend(shelf, "a", "x")
    kept = os.dup(old.descriptor)
    shelf.put("a", "x", b"new" * 20)
    assert read(old) == b"old" * 20
    assert "still in use" in shelf.refusal("a", "x", 90)
    shelf.give_back(old)
    # Whoever kept a descriptor has an empty file.
    assert os.pread(kept, 1000, 0) == b""
    os.close(kept)
    assert shelf.refusal("a", "x", 90) == ""
    assert read(lend(shelf, "a", "x")) == b"new" * 20


STEPS = st.lists(
    st.tuples(st.sampled_from("pbg"), st.sampled_from("xyz"), st.integers(0, 60)), max_size=40
)


@settings(max_examples=60, deadline=None)
@given(STEPS)
def test_no_order_of_steps_goes_over_twice_the_limit_or_leaks(
    steps: list[tuple[str, str, int]],
) -> None:
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208
    shelf, lent, model = (
        Shelf([plugin("a", published_bytes=LIMIT)]),
        list[Version](),
        Counter[str](),
    )
    for step, name, size in steps:
        if step == "p" and not shelf.refusal("a", name, size):
            shelf.put("a", name, bytes([size]) * size)
            model[name] = size
        elif step == "b" and model[name]:
            lent.append(lend(shelf, "a", name))
            assert read(lent[-1]) == bytes([model[name]]) * model[name]
        elif step == "g" and lent:
            shelf.give_back(lent.pop(size % len(lent)))
        assert model.total() <= LIMIT
        living = {id(each): each.size for each in lent}
        current = [found for each in "xyz" if (found := shelf.find("a", each)) is not None]
        living |= {id(each): each.size for each in current}
        assert sum(living.values()) <= 2 * LIMIT
    shelf.close()
    for version in lent:
        shelf.give_back(version)
    assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208
