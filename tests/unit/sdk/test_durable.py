"""Durable slots inside a worker: what is told to the host, and what is undone."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pluginsandbox.sdk import CallTimeout, Plugin, function, slot
from pluginsandbox.sdk.binding import Binding, LoadedPlugin
from pluginsandbox.sdk.durable import MAX_SLOTS, Restored, decode, encode
from pluginsandbox.sdk.errors import (
    DurableError,
    LoadError,
    PluginRaised,
    RestoreError,
    StartError,
)
from pluginsandbox.sdk.testing import IDENTITY


class Line(msgspec.Struct):
    sku: str
    pieces: int = 1


class Cart(Plugin):
    lines = slot(dict[str, Line], factory=dict, durable=True)
    total = slot(int, default=0, durable=True)
    note = slot(str, durable=True)
    seen = slot(int, default=0)

    def on_start(self) -> None:
        self.heard: list[Any] = []
        if self.config.get("start"):
            self.total.set(10)

    def on_restore(self, from_digest: str) -> None:
        self.heard.append((from_digest, self.total.get()))
        kind = self.config.get("restore")
        if kind == "refuse":
            raise ValueError("too old")
        while kind == "hang":
            time.sleep(1)

    def on_panic(self, error: BaseException) -> None:
        del error
        if self.config.get("panic"):
            self.note.set(self.config["panic"])

    @function
    def add(self, sku: str, pieces: int = 1) -> int:
        self.lines.get().setdefault(sku, Line(sku, 0)).pieces += pieces
        self.total.set(self.total.get() + pieces)
        self.seen.set(self.seen.get() + 1)
        return self.total.get()

    @function
    def look(self) -> list[Any]:
        return [len(self.lines.get()), self.total.get(), self.seen.get()]

    @function
    def read_note(self, value: str | None = None) -> str:
        if value is not None:
            self.note.set(value)
        return self.note.get()

    @function
    def forget(self) -> None:
        self.note.clear()

    @function
    def spoil(self, kind: str) -> None:
        self.add("a")
        if kind == "type":
            self.lines.get()["b"] = 3  # type: ignore[assignment]
        elif kind == "unknown":
            self.lines.get()["b"] = object()  # type: ignore[assignment]
        elif kind == "size":
            self.note.set("x" * 100_000)
        elif kind == "raise":
            raise KeyError("b")
        while kind == "hang":
            time.sleep(1)


def loaded(limit: int = 1000, **config: str) -> LoadedPlugin:
    return LoadedPlugin(Cart, IDENTITY, config, {}, "", limit)


@pytest.fixture
def binding() -> Iterator[Binding]:
    plugin = loaded()
    yield plugin.bind("ada", "", 1)
    plugin.close()


def call(on: Binding, name: str, timeout: int = 0, **arguments: Any) -> Any:
    index = [f.name for f in on.plugin.functions].index(name)
    return msgspec.json.decode(on.call(index, 0, msgspec.json.encode(arguments), timeout)[1])


def told(on: Binding) -> dict[str, Any]:
    assert on.durable is not None
    return {
        name: None if value is None else msgspec.msgpack.decode(value)
        for name, value in on.durable.take()[1].items()
    }


FRESH: dict[str, Any] = {"lines": {}, "total": None, "note": None}


def test_the_first_answer_tells_all_and_later_ones_what_changed(binding: Binding) -> None:
    assert call(binding, "look") == [0, 0, 0]
    assert told(binding) == FRESH
    assert call(binding, "look") == [0, 0, 0]
    assert told(binding) == {}
    call(binding, "read_note", value="gift")
    assert told(binding) == {"note": "gift"}


def test_a_change_in_place_is_noticed(binding: Binding) -> None:
    told(binding)
    call(binding, "add", sku="a")
    assert told(binding) == {"lines": {"a": {"sku": "a", "pieces": 1}}, "total": 1}
    call(binding, "add", sku="a", pieces=0)
    assert told(binding) == {}
    call(binding, "add", sku="a", pieces=2)
    assert told(binding) == {"lines": {"a": {"sku": "a", "pieces": 3}}, "total": 3}


def test_numbers_grow_by_one_with_each_change(binding: Binding) -> None:
    numbers = []
    for name in ("look", "look", "forget", "add"):
        call(binding, name, 0, **({"sku": "a"} if name == "add" else {}))
        assert binding.durable is not None
        n, changed = binding.durable.take()
        numbers.append((n, bool(changed)))
    assert numbers == [(1, True), (1, False), (1, False), (2, True)]


def test_what_a_call_left_before_it_raised_stays(binding: Binding) -> None:
    told(binding)
    with pytest.raises(PluginRaised):
        call(binding, "spoil", kind="raise")
    assert told(binding)["total"] == 1
    assert call(binding, "look") == [1, 1, 1]


def test_a_call_that_was_stopped_leaves_nothing_in_durable_slots(binding: Binding) -> None:
    told(binding)
    call(binding, "add", sku="a")
    told(binding)
    with pytest.raises(CallTimeout):
        call(binding, "spoil", timeout=20_000, kind="hang")
    assert told(binding) == {}
    assert call(binding, "look") == [1, 1, 2]  # the slot that is not durable is as it was left


def test_what_on_panic_sets_is_kept_even_when_the_call_was_stopped() -> None:
    plugin = loaded(panic="stopped")
    on = plugin.bind("ada", "", 1)
    with pytest.raises(CallTimeout):
        call(on, "spoil", timeout=20_000, kind="hang")
    assert told(on)["note"] == "stopped"
    assert call(on, "look") == [0, 0, 1]
    plugin.close()


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("type", "durable slot 'lines' is not dict.*: Expected `object`, got `int`"),
        ("unknown", "durable slot 'lines' cannot be encoded"),
        ("size", "have 1000[0-9]{2} bytes; limits.durableBytes is 1000"),
    ],
)
def test_what_cannot_be_stored_fails_the_call_and_is_undone(
    kind: str, words: str, binding: Binding
) -> None:
    call(binding, "add", sku="a")
    with pytest.raises(DurableError, match=words):
        call(binding, "spoil", kind=kind)
    assert told(binding)["total"] == 1
    assert call(binding, "look") == [1, 1, 2]
    assert call(binding, "add", sku="c") == 2


def test_the_first_call_may_fail_and_the_host_still_hears_of_the_binding(binding: Binding) -> None:
    with pytest.raises(DurableError):
        call(binding, "spoil", kind="size")
    assert told(binding) == FRESH


def test_a_state_over_the_limit_is_no_start() -> None:
    with pytest.raises(StartError, match=r"DurableError: .* limits.durableBytes is 10"):
        loaded(limit=10, start="yes").bind("ada", "", 1)


def test_a_restored_binding_goes_on(binding: Binding) -> None:
    call(binding, "add", sku="a", pieces=3)
    assert binding.durable is not None
    stored = binding.durable.take()[1]
    plugin = loaded(start="yes")
    on = plugin.bind("ada", "", 2, restored=Restored("sha256:1", decode(encode(stored))))
    assert on.instance.heard == [("sha256:1", 3)]  # type: ignore[attr-defined]
    assert call(on, "look") == [1, 3, 0]
    assert call(on, "add", sku="a") == 4
    assert told(on)["lines"] == {"a": {"sku": "a", "pieces": 4}}


def test_a_slot_that_was_cleared_is_restored_without_a_value(binding: Binding) -> None:
    call(binding, "read_note", value="gift")
    call(binding, "forget")
    assert binding.durable is not None
    on = loaded(start="yes").bind("ada", "", 2, restored=Restored("", binding.durable.take()[1]))
    assert call(on, "look") == [0, 0, 0]  # `total` had its default, whatever on_start sets
    with pytest.raises(PluginRaised, match="slot 'note' has no value yet"):
        call(on, "read_note")


def test_slots_that_the_old_code_had_not_start_afresh_and_others_are_forgotten() -> None:
    old = {"total": encode(7), "gone": encode("x")}
    on = loaded().bind("ada", "", 2, restored=Restored("", old))
    assert call(on, "look") == [0, 7, 0]
    assert told(on) == FRESH | {"total": 7}


@pytest.mark.parametrize(
    ("config", "stored", "words"),
    [
        ({"restore": "refuse"}, {}, "ValueError: too old"),
        ({}, {"total": encode("x")}, "durable slot 'total' is not int"),
        ({}, {"lines": b"\xc1"}, "durable slot 'lines' is not dict"),
    ],
)
def test_a_state_is_refused_by_its_hook_or_its_type(
    config: dict[str, str], stored: dict[str, bytes], words: str
) -> None:
    with pytest.raises(RestoreError, match=words):
        loaded(1000, **config).bind("ada", "", 2, restored=Restored("", stored))


def test_a_hook_that_takes_too_long_has_not_refused() -> None:
    plugin = loaded(restore="hang")
    with pytest.raises(StartError) as late:
        plugin.bind("ada", "", 2, 20_000, restored=Restored("", {}))
    assert not isinstance(late.value, RestoreError)
    plugin.close()


def test_a_slot_that_cannot_be_stored_is_refused_at_load() -> None:
    class Opaque:
        pass

    class Wrong(Plugin):
        open = slot(Opaque, durable=True)

        @function
        def f(self) -> None: ...

    with pytest.raises(LoadError, match=r"slot 'open' is durable, but .*Opaque cannot be stored"):
        LoadedPlugin(Wrong, IDENTITY, {}, {})


def test_too_many_durable_slots_are_refused_at_load() -> None:
    slots = {f"s{n}": slot(int, default=0, durable=True) for n in range(MAX_SLOTS + 1)}
    wrong = type("Wrong", (Cart,), slots)
    with pytest.raises(LoadError, match=r"68 durable slots are over 64"):
        LoadedPlugin(wrong, IDENTITY, {}, {})


def test_a_plugin_without_durable_slots_has_nothing_to_settle() -> None:
    class Plain(Plugin):
        @function
        def f(self) -> None: ...

    assert LoadedPlugin(Plain, IDENTITY, {}, {}).bind("a", "", 1).durable is None


class Anything(Plugin):
    value = slot(dict[str, int] | list[bytes] | float | str | bool | None, durable=True)

    @function
    def put(self) -> None:
        self.value.set(self.next)

    @function
    def get(self) -> None:
        self.next = self.value.get()


@given(
    st.dictionaries(st.text(), st.integers(-(2**63), 2**64 - 1))
    | st.lists(st.binary())
    | st.floats(allow_nan=False)
    | st.booleans()
    | st.text()
    | st.none()
)
def test_what_is_stored_comes_back_as_it_was(value: Any) -> None:
    plugin = LoadedPlugin(Anything, IDENTITY, {}, {}, "", 1 << 30)
    first = plugin.bind("a", "", 1)
    first.instance.next = value  # type: ignore[attr-defined]
    call(first, "put")
    assert first.durable is not None
    second = plugin.bind("a", "", 2, restored=Restored("", first.durable.take()[1]))
    call(second, "get")
    assert second.instance.next == value  # type: ignore[attr-defined]
