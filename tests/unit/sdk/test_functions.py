"""What callers are told of functions, and how wrong arguments are refused."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Any

import jsonschema
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pluginsandbox.sdk import Plugin, function
from pluginsandbox.sdk.binding import LoadedPlugin
from pluginsandbox.sdk.errors import ArgumentsError, LoadError
from pluginsandbox.sdk.functions import find_functions
from pluginsandbox.sdk.testing import IDENTITY
from tests.unit.sdk import samples
from tests.unit.sdk.conftest import Call


def test_functions_are_described_by_name_summary_and_schema(plugin: LoadedPlugin) -> None:
    names = [each.name for each in plugin.functions]
    assert names == sorted(names)
    add = plugin.functions[names.index("add")]
    assert add.summary == "Add to the count."
    assert msgspec.json.decode(add.arguments_schema) == {
        "type": "object",
        "properties": {"by": {"type": "integer", "default": 1}},
        "required": [],
        "additionalProperties": False,
    }
    assert msgspec.json.decode(add.result_schema) == {"type": "integer"}


def test_schemas_are_sound_and_stand_alone(plugin: LoadedPlugin) -> None:
    for each in plugin.functions:
        for text in (each.arguments_schema, each.result_schema):
            jsonschema.Draft202012Validator.check_schema(msgspec.json.decode(text))
    keep = plugin.functions[samples.index(plugin, "keep")]
    validator = jsonschema.Draft202012Validator(msgspec.json.decode(keep.arguments_schema))
    validator.validate({"item": {"sku": "a", "quantity": 2}, "colour": "red"})
    assert not validator.is_valid({"item": {"sku": "a", "quantity": 0}})


@pytest.mark.parametrize(
    ("name", "body", "argument", "message"),
    [
        ("add", b'{"by": "2"}', "by", "must be int, got str"),
        ("add", b'{"by": 1, "to": 2}', "to", "is not an argument"),
        ("names", b'{"function": "f"}', "timeout_microseconds", "is missing"),
        ("keep", b'{"item": {}}', "item.sku", "is missing"),
        ("keep", b'{"item": {"sku": "a", "quantity": 0}}', "item.quantity", "must be int >= 1"),
        ("keep", b'{"item": {"sku": "a"}, "tags": ["a", 1]}', "tags[1]", "must be str, got int"),
        (
            "keep",
            b'{"item": {"sku": "a"}, "colour": "blue"}',
            "colour",
            "invalid enum value 'blue'",
        ),
        ("add", b"[1]", "", "arguments must be object, got array"),
        ("add", b'{"by": 1', "", "arguments are not valid JSON: Input data was truncated"),
        ("add", b'{"by": 1} {}', "", "arguments are not valid JSON: JSON is malformed"),
        ("read", b'{"\xff": 1}', "", "arguments are not valid JSON: 'utf-8' codec can't decode"),
    ],
)
def test_wrong_arguments_are_named_and_nothing_runs(
    plugin: LoadedPlugin, name: str, body: bytes, argument: str, message: str
) -> None:
    binding = plugin.bind("c", "", 1)
    with pytest.raises(ArgumentsError) as caught:
        binding.call(samples.index(plugin, name), 0, body, 0, "")
    assert caught.value.argument == argument
    assert caught.value.message.startswith(message)
    assert binding.instance.heard == [("init", "c"), "start"]  # type: ignore[attr-defined]


def test_damaged_messagepack_is_refused(plugin: LoadedPlugin) -> None:
    with pytest.raises(ArgumentsError, match="arguments are not valid MSGPACK"):
        plugin.bind("c", "", 1).call(samples.index(plugin, "add"), 1, b"\xc1", 0, "")


def test_deep_nesting_is_refused(plugin: LoadedPlugin) -> None:
    body = b'{"x":' + b"[" * 100_000
    with pytest.raises(ArgumentsError):
        plugin.bind("c", "", 1).call(samples.index(plugin, "add"), 0, body, 0, "")


@given(st.binary(max_size=64), st.sampled_from([0, 1]))
def test_no_bytes_do_anything_but_call_or_be_refused(body: bytes, codec: int) -> None:
    binding = FUZZED.bind("c", "", 1)
    try:
        answer = binding.call(samples.index(FUZZED, "add"), codec, body, 0, "")
    except ArgumentsError:
        return
    assert answer[0] == codec


FUZZED = LoadedPlugin(samples.Sample, IDENTITY, {}, {})


@pytest.fixture(scope="module", autouse=True)
def close_fuzzed() -> Iterator[None]:
    yield
    FUZZED.close()


@given(st.integers(-(2**63), 2**63 - 1), st.integers(-(2**40), 2**40))
def test_a_call_is_the_method(first: int, second: int) -> None:
    binding = FUZZED.bind("c", "", 1)
    index = samples.index(FUZZED, "add")
    binding.call(index, 0, msgspec.json.encode({"by": first}), 0, "")
    answer = binding.call(index, 0, msgspec.json.encode({"by": second}), 0, "")
    assert answer == (0, b"%d" % (first + second))


def one(method: Callable[..., Any]) -> type[Plugin]:
    return type("One", (Plugin,), {"method": function(method)})


def untyped(self: Plugin, sku) -> None: ...  # type: ignore[no-untyped-def]  # noqa: ANN001
def silent(self: Plugin, sku: str): ...  # type: ignore[no-untyped-def]  # noqa: ANN201
def starred(self: Plugin, *skus: str) -> None: ...
def named(self: Plugin, **skus: str) -> None: ...
def positional(self: Plugin, sku: str, /) -> None: ...
def unknown(self: Plugin, sku: "Nowhere") -> None: ...  # type: ignore[name-defined]  # noqa: F821, UP037
def opaque(self: Plugin, sku: range) -> None: ...
def returns_opaque(self: Plugin) -> list[range]: ...  # type: ignore[empty-body]
def mutable(self: Plugin, skus: list[str] = ["a"]) -> None: ...  # noqa: B006
def generator(self: Plugin) -> Iterator[int]:
    yield 1


@pytest.mark.parametrize(
    ("method", "message"),
    [
        (untyped, "its parameter 'sku' needs an annotation"),
        (silent, "say what it returns"),
        (starred, r"\*args and \*\*kwargs cannot be described"),
        (named, r"\*args and \*\*kwargs cannot be described"),
        (positional, "remove the /"),
        (unknown, "annotations cannot be read: name 'Nowhere' is not defined"),
        (opaque, "sku: range cannot be described to callers"),
        (returns_opaque, "the result: "),
        (mutable, "mutable"),
        (generator, "must return its result, not yield"),
    ],
)
def test_a_signature_that_cannot_be_served_is_refused_at_load(
    method: Callable[..., Any], message: str
) -> None:
    with pytest.raises(LoadError, match=f"function method: .*{message}") as caught:
        find_functions(one(method))[0].describe()
    assert caught.value.reason == "EntryPointInvalid"


def test_static_and_class_methods_are_refused() -> None:
    class Static(Plugin):
        @function
        @staticmethod
        def ping(a: int, b: int) -> None: ...

    with pytest.raises(LoadError, match="function ping: it must be a plain method"):
        find_functions(Static)


def test_a_class_without_functions_is_refused() -> None:
    class Empty(Plugin):
        def ping(self) -> None: ...

    with pytest.raises(LoadError, match="class Empty has no functions: put @function"):
        find_functions(Empty)


def test_a_decorated_function_keeps_its_signature(call: Call) -> None:
    def twice(method: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(method)
        def wrapper(self: Plugin, **arguments: Any) -> Any:
            return 2 * method(self, **arguments)

        return wrapper

    class Wrapped(Plugin):
        @function
        @twice
        def double(self, by: int, plus: int = 1) -> int:
            return by + plus

    plugin = LoadedPlugin(Wrapped, IDENTITY, {}, {})
    assert plugin.bind("c", "", 1).call(0, 0, b'{"by": 2}', 0, "") == (0, b"6")


def test_functions_are_inherited() -> None:
    class Child(samples.Sample):
        @function
        def more(self) -> int:
            return 1

    names = [each.name for each in find_functions(Child)]
    assert {"more", "add", "keep"} <= set(names)
