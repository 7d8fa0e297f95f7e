"""A plugin's functions as callers see them: names, schemas, decoding and encoding.

All of it is worked out once, at load, from the annotations.
"""

from __future__ import annotations

import enum
import re
import types
import typing
from collections.abc import Callable
from typing import Any, NamedTuple, NoReturn

import msgspec

from pluginsandbox.sdk.errors import ArgumentsError, LoadError, ResultError
from pluginsandbox.sdk.plugin import FUNCTION_MARK
from pluginsandbox.sdk.typecheck import checkable, spell

CO_VARARGS, CO_VARKEYWORDS, CO_COROUTINE, CO_GENERATORS = 0x4, 0x8, 0x80, 0x20 | 0x200
_EXPECTED = re.compile(r"Expected `([^`]*)`(.*)", re.DOTALL)
_AT = re.compile(r" - at `(?:key in )?\$\.?([^`]*)`\Z")
_FIELD = re.compile(r"Object (missing required|contains unknown) field `([^`]*)`")


class Codec(enum.IntEnum):
    """How arguments and results are encoded; the numbers of the host's frame."""

    JSON = 0
    MSGPACK = 1


class FunctionDescription(NamedTuple):
    """What the host tells callers of one function."""

    name: str
    summary: str
    """First line of the docstring."""
    arguments_schema: bytes
    """JSON Schema of the arguments object; its own types are below `$defs`."""
    result_schema: bytes


class Function:
    """One callable function, ready to decode and encode.

    Args:
        name: Attribute of the plugin class.
        method: The method itself.
        scope: Names that annotations may use besides the globals of the method's module.

    Raises:
        LoadError: The signature cannot be served; the message names the function and what to do.

    """

    def __init__(
        self, name: str, method: Callable[..., Any], scope: typing.Mapping[str, Any]
    ) -> None:
        self.name = name
        self.method = method
        source = _source(name, method)
        _check(name, source.__code__)
        hints = _hints(name, source, scope)
        self.is_async = bool(source.__code__.co_flags & CO_COROUTINE)
        self._returns = returns = hints.pop("return")
        self._fields = _fields(name, source, hints)
        self._arguments = arguments = _arguments_type(name, self._fields)
        try:
            self._result_classes = checkable(returns)
        except TypeError as error:
            raise _unusable(name, f"the result: {error}") from error
        # Indexed by Codec.
        self._decode = (
            msgspec.json.Decoder(arguments).decode,
            msgspec.msgpack.Decoder(arguments).decode,
        )
        self._encode = (msgspec.json.Encoder().encode, msgspec.msgpack.Encoder().encode)

    def describe(self) -> FunctionDescription:
        """Return what callers are told: apart, for it takes longer than all else here.

        Raises:
            LoadError: A type cannot be described.

        """
        parts = {field[0]: field[1] for field in self._fields}
        return FunctionDescription(
            name=self.name,
            summary=_summary(self.method),
            arguments_schema=_schema(self.name, self._arguments, parts),
            result_schema=_schema(self.name, self._returns, {"the result": self._returns}),
        )

    def arguments(self, codec: int, body: bytes) -> dict[str, Any]:
        """Decode a call's arguments; an empty body means none.

        Raises:
            ArgumentsError: They do not fit the annotations; it names the argument.

        """
        try:
            return msgspec.structs.asdict(self._decode[codec](body or _EMPTY[codec]))
        except msgspec.ValidationError as error:
            _refuse(str(error))
        except (ValueError, RecursionError) as error:
            kind = Codec(codec).name
            raise ArgumentsError("", f"arguments are not valid {kind}: {error}") from None

    def result(self, codec: int, value: Any) -> bytes:
        """Check and encode what the method returned.

        Raises:
            ResultError: It is not of the annotated type, or cannot be encoded.

        """
        if not isinstance(value, self._result_classes):
            raise ResultError(
                f"{self.name} must return {spell(self._returns)}, got {type(value).__name__}"
            )
        try:
            return self._encode[codec](value)
        except (TypeError, ValueError, OverflowError, RecursionError, MemoryError) as error:
            raise ResultError(f"the result of {self.name} cannot be encoded: {error}") from error


_EMPTY = (b"{}", b"\x80")  # indexed by Codec
_Fields = list[tuple[str, Any] | tuple[str, Any, Any]]


def find_functions(cls: type) -> tuple[Function, ...]:
    """Return the functions of a plugin class, sorted by name.

    Raises:
        LoadError: There is none, or one of them cannot be served.

    """
    marked = [name for name in dir(cls) if _is_marked(cls, name)]
    if not marked:
        raise LoadError(
            "EntryPointInvalid",
            f"class {cls.__name__} has no functions: put @function (from pluginsandbox.sdk) above "
            "each method that callers may call",
        )
    return tuple(Function(name, _definition(cls, name), vars(cls)) for name in marked)


def _definition(cls: type, name: str) -> Any:
    """Return what the class or its nearest base defines as `name`, not bound to anything."""
    return next((vars(base)[name] for base in cls.__mro__ if name in vars(base)), None)


def _is_marked(cls: type, name: str) -> bool:
    found = _definition(cls, name)
    return hasattr(found, FUNCTION_MARK) or hasattr(getattr(found, "__func__", None), FUNCTION_MARK)


def _source(name: str, method: Any) -> types.FunctionType:
    """Return the function as the author wrote it, below its decorators."""
    inner = method
    while not isinstance(inner, (staticmethod, classmethod)) and hasattr(inner, "__wrapped__"):
        inner = inner.__wrapped__
    if not isinstance(inner, types.FunctionType):
        raise _unusable(name, "it must be a plain method: def NAME(self, ...)")
    return inner


def _check(name: str, code: types.CodeType) -> None:
    if code.co_flags & (CO_VARARGS | CO_VARKEYWORDS):
        raise _unusable(name, "*args and **kwargs cannot be described to callers: name each one")
    if code.co_posonlyargcount:
        raise _unusable(name, "arguments come by name: remove the / from its parameters")
    if code.co_flags & CO_GENERATORS:
        raise _unusable(name, "it must return its result, not yield")


def _hints(
    name: str, method: Callable[..., Any], scope: typing.Mapping[str, Any]
) -> dict[str, Any]:
    try:
        hints = typing.get_type_hints(method, localns=dict(scope), include_extras=True)
    except Exception as error:
        raise _unusable(name, f"its annotations cannot be read: {error}") from error
    if "return" not in hints:
        raise _unusable(name, "say what it returns, for example -> None")
    return hints


def _fields(name: str, method: types.FunctionType, hints: dict[str, Any]) -> _Fields:
    code = method.__code__
    count = code.co_argcount
    parameters = code.co_varnames[1 : count + code.co_kwonlyargcount]
    positional = code.co_varnames[:count]
    values = method.__defaults__ or ()
    defaults = dict(zip(positional[count - len(values) :], values, strict=True))
    defaults.update(method.__kwdefaults__ or {})
    fields: _Fields = []
    for parameter in parameters:
        if parameter not in hints:
            raise _unusable(name, f"its parameter {parameter!r} needs an annotation, such as : str")
        annotation = hints[parameter]
        known = parameter in defaults
        fields.append(
            (parameter, annotation, defaults[parameter]) if known else (parameter, annotation)
        )
    return fields


def _arguments_type(name: str, fields: _Fields) -> type[msgspec.Struct]:
    try:
        return msgspec.defstruct(
            _arguments_name(name), fields, kw_only=True, forbid_unknown_fields=True
        )
    except (TypeError, ValueError) as error:
        raise _unusable(name, str(error)) from error


def _schema(name: str, annotation: Any, parts: dict[str, Any]) -> bytes:
    try:
        schema = msgspec.json.schema(annotation)
    except (TypeError, ValueError) as error:
        raise _unusable(name, _culprit(parts, error)) from error
    # The arguments object itself is no shared type: callers read it first.
    own = schema.get("$defs", {}).pop(_arguments_name(name), None)
    if own is not None:
        del own["title"]
        schema = own | ({"$defs": schema["$defs"]} if schema["$defs"] else {})
    return msgspec.json.encode(schema)


def _arguments_name(function: str) -> str:
    return f"{function}_arguments"


def _culprit(parts: dict[str, Any], error: Exception) -> str:
    for part, annotation in parts.items():
        try:
            msgspec.json.schema(annotation)
        except (TypeError, ValueError):
            return (
                f"{part}: {spell(annotation)} cannot be described to callers: use str, int, float, "
                "bool, None, list, dict, datetime, Enum, Literal, dataclasses or msgspec.Struct"
            )
    return str(error)


def _summary(method: Callable[..., Any]) -> str:
    lines = (method.__doc__ or "").strip().splitlines()
    return lines[0].strip() if lines else ""


def _unusable(name: str, message: str) -> LoadError:
    return LoadError("EntryPointInvalid", f"function {name}: {message}")


def _refuse(text: str) -> NoReturn:
    """Raise ArgumentsError for the words of a msgspec.ValidationError."""
    at = _AT.search(text)
    where = at.group(1) if at else ""
    text = _AT.sub("", text)
    field = _FIELD.fullmatch(text)
    if field:
        path = f"{where}.{field.group(2)}" if where else field.group(2)
        missing = field.group(1).startswith("missing")
        raise ArgumentsError(path, "is missing" if missing else "is not an argument")
    expected = _EXPECTED.fullmatch(text)
    if expected:
        told = f"must be {expected.group(1)}{expected.group(2).replace('`', '')}"
        raise ArgumentsError(where, told if where else f"arguments {told}")
    raise ArgumentsError(where, text[:1].lower() + text[1:])
