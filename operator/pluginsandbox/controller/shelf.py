"""Keeps many bodies in little memory: those that were used last as dictionaries, others as JSON.

A dictionary takes ten times the room of its JSON, and of ten thousand bodies a handful is looked at
at a time; reading one back takes some twenty microseconds.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable, Iterator, MutableMapping
from typing import TypeVar

import msgspec
from typing_extensions import override

from pluginsandbox.controller.trim import Body

OPEN = 512

KeyT = TypeVar("KeyT", bound=Hashable)


class Shelf(MutableMapping[KeyT, Body]):
    """A mapping of bodies, which must not be changed by readers.

    Args:
        most: Bodies that stay dictionaries.

    """

    def __init__(self, most: int = OPEN) -> None:
        self._most = most
        self._open: OrderedDict[KeyT, Body] = OrderedDict()
        self._packed: dict[KeyT, bytes] = {}

    @override
    def __getitem__(self, key: KeyT) -> Body:
        body = self._open.get(key)
        if body is None:
            body = msgspec.json.decode(self._packed[key])
            self._lay_open(key, body)
        else:
            self._open.move_to_end(key)
        return body

    @override
    def __setitem__(self, key: KeyT, body: Body) -> None:
        # The key keeps its place in `_packed`, which has all keys; what is there now is outdated.
        self._packed[key] = b""
        self._lay_open(key, body)

    @override
    def __delitem__(self, key: KeyT) -> None:
        del self._packed[key]
        self._open.pop(key, None)

    @override
    def __iter__(self) -> Iterator[KeyT]:
        return iter(self._packed)

    @override
    def __len__(self) -> int:
        return len(self._packed)

    @override
    def __contains__(self, key: object) -> bool:
        return key in self._packed

    def _lay_open(self, key: KeyT, body: Body) -> None:
        self._open[key] = body
        self._open.move_to_end(key)
        while len(self._open) > self._most:
            oldest, gone = self._open.popitem(last=False)
            if not self._packed[oldest]:
                self._packed[oldest] = msgspec.json.encode(gone)
