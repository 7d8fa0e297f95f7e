"""Durable slots of one binding: what changed in a call, and back to what was before it.

A value can change in place, unseen by its slot. So the durable slots are encoded after each call
and compared with what they were; a plugin without any pays nothing. What is sent is also decoded
once: a state that its own type cannot read would be lost at the restore.
"""

from __future__ import annotations

import contextvars
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, NoReturn

import msgspec

from pluginsandbox.sdk.errors import DurableError, LoadError
from pluginsandbox.sdk.slots import MISSING, Slot
from pluginsandbox.sdk.typecheck import spell

Slots = dict[str, bytes | None]
"""Attribute to encoded value; None for a slot without a value of its own."""

DEFAULT_BYTES = 64 << 10
"""`plugins[].limits.durableBytes` when it is absent."""
MAX_SLOTS = 64
"""Durable slots that one plugin may have."""

encode = msgspec.msgpack.Encoder().encode
decode = msgspec.msgpack.Decoder(Slots).decode
"""Reads the slots that the host hands out."""


class Restored(NamedTuple):
    """The state that a binding begins with."""

    digest: str
    """Of the code that wrote it; empty if unknown."""
    slots: Mapping[str, bytes | None]


class DurableSlot(NamedTuple):
    """A durable slot, and how its bytes are read."""

    slot: Slot[Any]
    decode: Callable[[bytes], Any]


def size_of(slots: Mapping[str, bytes | None]) -> int:
    """Return what counts against `durableBytes`: attributes and encoded values."""
    return sum(len(name.encode()) + len(value or b"") for name, value in slots.items())


def durable_slots(slots: Sequence[Slot[Any]]) -> tuple[DurableSlot, ...]:
    """Return the durable ones of a plugin's slots.

    Raises:
        LoadError: EntryPointInvalid: there are too many, or one is of a type that cannot be stored.

    """
    found = tuple(_durable(slot) for slot in slots if slot.durable)
    if len(found) > MAX_SLOTS:
        raise LoadError(
            "EntryPointInvalid", f"{len(found)} durable slots are over {MAX_SLOTS}: join some"
        )
    return found


def _durable(slot: Slot[Any]) -> DurableSlot:
    try:
        decoder = msgspec.msgpack.Decoder(slot.annotation)
    except (TypeError, ValueError) as error:
        raise _unusable(slot, str(error)) from error
    try:
        # Of a type that it does not know a decoder says so only when it meets one.
        msgspec.json.schema(slot.annotation)
    except (TypeError, ValueError) as error:
        known = "str, int, float, bool, bytes, None, list, dict, datetime, Enum, Literal"
        raise _unusable(slot, f"use {known}, dataclasses or msgspec.Struct") from error
    return DurableSlot(slot, decoder.decode)


def _unusable(slot: Slot[Any], message: str) -> LoadError:
    spelt = spell(slot.annotation)
    return LoadError(
        "EntryPointInvalid",
        f"slot {slot.attribute!r} is durable, but {spelt} cannot be stored: {message}",
    )


class Durable:
    """The durable slots of one binding.

    Args:
        slots: Which.
        variables: Where their values are.
        limit: Bytes that they may take.

    """

    __slots__ = ("_base", "_changed", "_limit", "_n", "_slots", "_variables")

    def __init__(
        self, slots: Sequence[DurableSlot], variables: contextvars.Context, limit: int
    ) -> None:
        self._slots = slots
        self._variables = variables
        self._limit = limit
        self._base: Slots = {}
        """The slots as the last call that ended by itself left them."""
        self._changed: Slots = {}
        """What of it the host has not been told."""
        self._n = 0

    def restore(self, stored: Mapping[str, bytes | None]) -> None:
        """Fill the slots; one that is not in `stored` stays as it is. Runs in the variables.

        Raises:
            DurableError: A value is not of the slot's type any more.

        """
        for slot, decode in self._slots:
            if slot.attribute in stored:
                _fill(slot, decode, stored[slot.attribute])

    def settle(self) -> None:
        """Take note of what the slots are now.

        Raises:
            DurableError: They cannot be stored; they are what they were before.

        """
        try:
            state = {slot.attribute: self._encoded(slot) for slot, _ in self._slots}
            base = self._base
            changed = {
                name: value
                for name, value in state.items()
                if name not in base or value != base[name]
            }
            if changed:
                self._check(state, changed)
        except DurableError:
            self.roll_back()
            raise
        self._base = state
        self._changed.update(changed)

    def roll_back(self) -> None:
        """Undo what was done to the slots since the last `settle`."""
        for slot, decode in self._slots:
            before = self._base.get(slot.attribute)
            if self._differs(slot, before):
                self._variables.run(_fill, slot, decode, before)

    def take(self) -> tuple[int, Slots]:
        """Return what the host is to store: a number, 1 at first, and what changed since the last.

        The first time that is all slots; when nothing changed it is empty and has no number.
        """
        changed, self._changed = self._changed, {}
        self._n += bool(changed)
        return self._n, changed

    def _encoded(self, slot: Slot[Any]) -> bytes | None:
        value = slot.stored(self._variables)
        if value is MISSING:
            return None
        try:
            return encode(value)
        except MemoryError:
            raise
        except Exception as error:  # noqa: BLE001  # a value's own code may raise anything
            _refuse(slot, "cannot be encoded", error)

    def _differs(self, slot: Slot[Any], before: bytes | None) -> bool:
        try:
            return self._encoded(slot) != before
        except DurableError:
            return True

    def _check(self, state: Slots, changed: Slots) -> None:
        size = size_of(state)
        if size > self._limit:
            raise DurableError(
                f"the durable slots have {size} bytes; limits.durableBytes is {self._limit}"
            )
        for slot, decode in self._slots:
            value = changed.get(slot.attribute)
            if value is not None:
                _decoded(slot, decode, value)


def _fill(slot: Slot[Any], decode: Callable[[bytes], Any], value: bytes | None) -> None:
    if value is None:
        slot.clear()
    else:
        slot.set(_decoded(slot, decode, value))


def _decoded(slot: Slot[Any], decode: Callable[[bytes], Any], value: bytes) -> Any:
    try:
        return decode(value)
    except MemoryError:
        raise
    except Exception as error:  # noqa: BLE001  # a value's own code may raise anything
        _refuse(slot, f"is not {spell(slot.annotation)}", error)


def _refuse(slot: Slot[Any], what: str, error: Exception) -> NoReturn:
    raise DurableError(f"durable slot {slot.attribute!r} {what}: {error}") from error
