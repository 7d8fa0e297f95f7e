"""Typed state of a binding.

A slot's value lives in a ContextVar, and every call of a binding runs inside that binding's own
`contextvars.Context`: `slot.get()` finds the right value by itself, at the price of a ContextVar.
The variable is named once, at load: `<plugin key>.<attribute>`.
"""

from __future__ import annotations

import contextvars
import enum
from collections.abc import Callable
from typing import Any, Generic, NoReturn, TypeVar, overload

import msgspec

from pluginsandbox.sdk.typecheck import checkable, spell

T = TypeVar("T")

_SCALARS = (bool, int, float, complex, str, bytes, type(None), enum.Enum)


class _Missing(enum.Enum):
    MISSING = "missing"


MISSING = _Missing.MISSING


class Slot(Generic[T]):
    """One typed piece of state: one value per context. Made by `slot`.

    Set it from the plugin's functions and hooks. What a task started with `asyncio.create_task`
    sets is gone with that task, as with any context variable.
    """

    __slots__ = (
        "_classes",
        "_default",
        "_factory",
        "_variable",
        "annotation",
        "attribute",
        "clear",
        "durable",
        "get",
        "key",
        "set",
    )

    get: Callable[[], T]
    """Return the value; raises LookupError if it has none."""
    set: Callable[[T], None]
    """Store a value; raises TypeError if it is not of the slot's type (not looked at in depth)."""
    clear: Callable[[], None]
    """Back to the default, or to no value."""

    def __init__(
        self,
        annotation: Any,
        default: T | _Missing,
        factory: Callable[[], T] | None,
        *,
        durable: bool = False,
    ) -> None:
        self.annotation = annotation
        self.durable = durable
        self.attribute = ""
        self.key = ""
        self._classes = checkable(annotation)
        self._default = default
        self._factory = factory
        self._variable: contextvars.ContextVar[Any] | None = None
        self.get = self.set = self.clear = self._unbound

    def __set_name__(self, owner: type, name: str) -> None:
        """Learn the attribute's name."""
        if self.attribute and self.attribute != name:
            raise TypeError(f"{owner.__name__}.{name} is the same slot as {self.attribute!r}")
        self.attribute = name

    def __repr__(self) -> str:
        return f"slot({spell(self.annotation)}) {self.attribute!r}"

    def bind_key(self, plugin_key: str) -> None:
        """Fix the slot's key; only the loader calls this, once for each plugin key.

        Raises:
            ValueError: The slot belongs to another plugin of this process already.

        """
        key = f"{plugin_key}.{self.attribute}"
        if self.key == key:
            return
        if self.key:
            raise ValueError(f"slot {self.attribute!r} already belongs to {self.key}")
        self.key = key
        if self._default is MISSING:
            variable = contextvars.ContextVar[Any](key)
        else:
            variable = contextvars.ContextVar[Any](key, default=self._default)
        self._variable = variable
        self.get = variable.get
        self.set = self._setter(variable)
        self.clear = self._clearer(variable)

    def start(self) -> None:
        """Give a fresh binding its own default; runs inside the binding's context."""
        if self._factory is not None:
            self.set(self._factory())

    def stored(self, context: contextvars.Context) -> Any:
        """Return what `context` holds for this slot, or MISSING; a default counts as missing."""
        return MISSING if self._variable is None else context.get(self._variable, MISSING)

    # Closures, not methods: a call pays for nothing but the variable's own C function.

    def _setter(self, variable: contextvars.ContextVar[Any]) -> Callable[[T], None]:
        store, classes = variable.set, self._classes

        def set_value(value: T) -> None:
            if not isinstance(value, classes):
                self._refuse(value)
            store(value)

        return set_value

    def _clearer(self, variable: contextvars.ContextVar[Any]) -> Callable[[], None]:
        def get_checked() -> T:
            value = variable.get()
            if value is MISSING:
                raise LookupError(variable)
            return value  # type: ignore[no-any-return]  # what `set` let in

        def clear() -> None:
            if self._default is MISSING and self._factory is None:
                # A context variable cannot be emptied again: from the first clear on, `get` looks.
                self.get = get_checked
            variable.set(self._default)
            self.start()

        return clear

    def _refuse(self, value: object) -> NoReturn:
        raise TypeError(
            f"slot {self.attribute!r} must be {spell(self.annotation)}, got {type(value).__name__}"
        )

    def _unbound(self, *_: object) -> NoReturn:
        raise RuntimeError(
            f"slot {self.attribute!r} has a value only inside a call or a hook of a loaded plugin; "
            "in a test, use pluginsandbox.sdk.testing.harness"
        )


@overload
def slot(annotation: type[T], *, default: T, durable: bool = ...) -> Slot[T]: ...
@overload
def slot(annotation: type[T], *, factory: Callable[[], T], durable: bool = ...) -> Slot[T]: ...
@overload
def slot(annotation: type[T], *, durable: bool = ...) -> Slot[T]: ...
@overload
def slot(
    annotation: Any, *, default: Any = ..., factory: Any = ..., durable: bool = ...
) -> Slot[Any]: ...
def slot(
    annotation: Any,
    *,
    default: Any = MISSING,
    factory: Callable[[], Any] | None = None,
    durable: bool = False,
) -> Slot[Any]:
    """Declare one typed piece of state as an attribute of a Plugin class.

    Args:
        annotation: Type of the value, such as `int`, `dict[str, int]` or a `msgspec.Struct`.
        default: Value of a fresh context; must be immutable, since all contexts share it.
        factory: Makes the value of each fresh context, such as `dict`.
        durable: Whether the value outlives the worker: it is stored after each call that changed
            it, before the caller hears of the call. Such values are encoded with msgspec.

    Returns:
        The slot. Without `default` and `factory` it has no value until it is set.

    Raises:
        TypeError: The annotation cannot be checked, the default is mutable or of another type, or
            both default and factory are given.

    """
    made = Slot[Any](annotation, default, factory, durable=durable)
    if default is MISSING:
        return made
    if factory is not None:
        raise TypeError("slot takes default or factory, not both")
    if not isinstance(default, checkable(annotation)):
        raise TypeError(f"default must be {spell(annotation)}, got {type(default).__name__}")
    if not _immutable(default):
        raise TypeError(
            f"default of type {type(default).__name__} would be shared by all contexts; "
            "give a factory, such as slot(dict, factory=dict)"
        )
    return made


def _immutable(value: Any) -> bool:
    if isinstance(value, (tuple, frozenset)):
        return all(map(_immutable, value))
    if isinstance(value, msgspec.Struct):
        return value.__struct_config__.frozen and all(
            map(_immutable, msgspec.structs.astuple(value))
        )
    return isinstance(value, _SCALARS)
