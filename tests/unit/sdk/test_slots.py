from __future__ import annotations

import asyncio
import contextvars
import dataclasses
from typing import Annotated, Any, Literal, NewType, TypedDict, TypeVar

import msgspec
import pytest

from pluginsandbox.sdk import Plugin, Slot, function, slot
from pluginsandbox.sdk.binding import LoadedPlugin
from pluginsandbox.sdk.errors import LoadError
from pluginsandbox.sdk.slots import MISSING
from pluginsandbox.sdk.testing import IDENTITY
from tests.unit.sdk import samples


class Frozen(msgspec.Struct, frozen=True):
    value: int = 0


class Thawed(msgspec.Struct):
    value: int = 0


class Row(TypedDict):
    value: int


@dataclasses.dataclass
class Point:
    x: int


Sku = NewType("Sku", str)
Unknown = TypeVar("Unknown")


def bound(made: Slot[Any], name: str = "state") -> Slot[Any]:
    """Give a slot a name and a key, as class creation and loading do."""
    made.__set_name__(Plugin, name)
    made.bind_key("gls_test")
    return made


def inside(*steps: Any) -> list[Any]:
    context = contextvars.Context()
    return [context.run(step) for step in steps]


@pytest.mark.parametrize(
    ("annotation", "good", "bad"),
    [
        (int, [0, True], ["0", None, 1.5]),
        (float, [0.5, 1], ["1"]),
        (str | None, ["", None], [1]),
        (dict[str, int], [{}], [[], None]),
        (list[Frozen] | Frozen, [[], Frozen()], [{}]),
        (Annotated[int, msgspec.Meta(ge=1)], [3], ["3"]),
        (Literal["a", 1], ["a", 1], [None]),
        (Sku, ["A-100"], [1]),
        (Row, [{}], [[]]),
        (Point, [Point(1)], [(1,)]),
        (Any, [1, None, object()], []),
        (None, [None], [0]),
    ],
)
def test_a_slot_takes_values_of_its_type_only(
    annotation: Any, good: list[Any], bad: list[Any]
) -> None:
    made = bound(slot(annotation))
    for value in good:
        assert inside(lambda value=value: made.set(value), made.get)[1] == value
    for value in bad:
        with pytest.raises(TypeError, match="slot 'state' must be"):
            made.set(value)


def test_a_refusal_spells_the_type_as_it_was_written() -> None:
    made = bound(slot(dict[str, int] | None))
    with pytest.raises(TypeError, match=r"must be dict\[str, int\] \| None, got list"):
        made.set([])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"default": []}, "shared by all contexts; give a factory"),
        ({"default": Thawed()}, "shared by all contexts"),
        ({"default": (1, [])}, "shared by all contexts"),
        ({"default": 1, "factory": int}, "default or factory, not both"),
    ],
)
def test_a_default_must_not_be_shared_state(options: Any, message: str) -> None:
    with pytest.raises(TypeError, match=message):
        slot(Any, **options)


def test_a_default_must_fit_and_the_type_must_be_checkable() -> None:
    with pytest.raises(TypeError, match="default must be int, got str"):
        slot(int, default="0")
    with pytest.raises(TypeError, match="not a type that can be checked"):
        slot(Unknown)


@pytest.mark.parametrize("value", [0, None, (1, "a"), Frozen(2), b"", frozenset({1})])
def test_immutable_defaults_are_fine(value: Any) -> None:
    assert inside(bound(slot(Any, default=value)).get) == [value]


def test_a_factory_makes_a_value_for_each_context() -> None:
    made = bound(slot(list[int], factory=list))
    first, second = contextvars.Context(), contextvars.Context()
    for context in (first, second):
        context.run(made.start)
    first.run(made.get).append(1)
    assert (first.run(made.get), second.run(made.get)) == ([1], [])


def test_clear_goes_back_to_the_beginning() -> None:
    with_default, with_factory = bound(slot(int, default=3)), bound(slot(list[int], factory=list))
    bare = bound(slot(int))
    context = contextvars.Context()
    context.run(with_factory.start)
    for made, value, after in ((with_default, 5, 3), (with_factory, [1], [])):
        context.run(made.set, value)
        context.run(made.clear)
        assert context.run(made.get) == after
    for _ in range(2):
        context.run(bare.set, 5)
        assert context.run(bare.get) == 5
        context.run(bare.clear)
        with pytest.raises(LookupError):
            context.run(bare.get)
    assert bare.stored(context) is MISSING


def test_a_slot_outside_a_loaded_plugin_says_so() -> None:
    class Fresh(Plugin):
        count = slot(int, default=0)

    with pytest.raises(RuntimeError, match="'count' has a value only inside a call"):
        Fresh.count.get()


def test_the_key_is_the_plugins_key_and_the_attribute() -> None:
    plugin = samples.loaded()
    assert samples.Sample.count.key == f"{IDENTITY.key}.count"
    assert plugin.key == "gls_" + "".join(plugin.key[4:])
    assert len(plugin.key) == 20
    plugin.close()


def test_one_class_serves_one_plugin_of_a_process() -> None:
    class Twice(Plugin):
        count = slot(int, default=0)

        @function
        def ping(self) -> None: ...

    LoadedPlugin(Twice, IDENTITY, {}, {})
    LoadedPlugin(Twice, IDENTITY, {}, {})
    with pytest.raises(LoadError, match="already belongs to gls_"):
        LoadedPlugin(Twice, IDENTITY._replace(plugin="other"), {}, {})


def test_a_slot_must_not_hide_what_the_plugin_class_has() -> None:
    class Hiding(Plugin):
        config = slot(int, default=0)  # type: ignore[assignment]

        @function
        def ping(self) -> None: ...

    with pytest.raises(LoadError, match="slot 'config': Plugin uses that name itself"):
        LoadedPlugin(Hiding, IDENTITY, {}, {})


def test_what_a_task_sets_stays_in_the_task() -> None:
    """As documented: tasks run in a copy of the context."""
    made = bound(slot(int, default=0))

    async def child() -> None:
        made.set(1)

    async def parent() -> int:
        await asyncio.create_task(child())
        value: int = made.get()
        return value

    assert asyncio.run(parent()) == 0
