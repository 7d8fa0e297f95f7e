"""The cheap half of a type check: which classes a value of an annotation may have.

Slots and results are checked with one `isinstance`, not in depth: `dict[str, int]` means a dict.
Arguments come from outside and are checked in depth, by msgspec, while they are decoded.
"""

from __future__ import annotations

import types
import typing
from typing import Any

# PEP 484: where a float is expected an int will do; msgspec decodes so too.
_WIDENED: dict[type, tuple[type, ...]] = {float: (float, int), complex: (complex, float, int)}


def runtime_classes(annotation: Any) -> tuple[type, ...]:
    """Return the classes of which a value of `annotation` is an instance.

    Raises:
        TypeError: No class can be told from the annotation, as for a type variable.

    """
    if annotation is None or annotation is Any:
        return (object if annotation else type(None),)
    annotation = getattr(annotation, "__value__", annotation)  # of `type Name = ...`
    origin = typing.get_origin(annotation)
    if origin is typing.Union or origin is types.UnionType:
        return tuple(
            found for member in typing.get_args(annotation) for found in runtime_classes(member)
        )
    if origin is typing.Annotated or isinstance(annotation, typing.NewType):
        inner = annotation.__origin__ if origin else annotation.__supertype__
        return runtime_classes(inner)
    if origin is typing.Literal:
        return tuple({type(value) for value in typing.get_args(annotation)})
    plain = origin or annotation
    if typing.is_typeddict(plain):
        return (dict,)
    if not isinstance(plain, type):
        raise TypeError(f"{annotation!r} is not a type that can be checked")
    return _WIDENED.get(plain, (plain,))


def checkable(annotation: Any) -> type | tuple[type, ...]:
    """Return what `isinstance` takes for `annotation`: one class where there is one, for speed.

    Raises:
        TypeError: As `runtime_classes`.

    """
    classes = runtime_classes(annotation)
    return classes[0] if len(classes) == 1 else classes


def spell(annotation: Any) -> str:
    """Return an annotation as an author writes it: `int`, `dict[str, int]`, `Stock | None`."""
    if annotation is None or annotation is type(None):
        return "None"
    if isinstance(annotation, types.UnionType) or typing.get_origin(annotation) is typing.Union:
        return " | ".join(map(spell, typing.get_args(annotation)))
    if isinstance(annotation, type) and typing.get_origin(annotation) is None:
        return annotation.__qualname__
    return str(annotation).replace("typing.", "")
