"""A plugin for the SDK's own tests."""

from __future__ import annotations

import asyncio
import contextlib
import enum
import time
from typing import Annotated, Any

import msgspec

from pluginsandbox.sdk import Plugin, function, slot
from pluginsandbox.sdk.binding import LoadedPlugin
from pluginsandbox.sdk.testing import IDENTITY


class Colour(enum.Enum):
    RED = "red"


class Item(msgspec.Struct):
    sku: str
    quantity: Annotated[int, msgspec.Meta(ge=1)] = 1


class BrokenTextError(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no text")


class Sample(Plugin):
    count = slot(int, default=0)
    items = slot(dict[str, Item], factory=dict)
    bare = slot(str)
    heard: list[Any]

    def __init__(self) -> None:
        self.heard = [("init", self.context.id)]

    def on_start(self) -> None:
        self.heard.append("start")

    def on_exit(self, cause: str) -> None:
        self.heard.append(("exit", cause, self.count.get()))
        if self.config.get("exit") == "raise":
            raise ValueError("cannot leave")
        while self.config.get("exit") == "hang":
            pass

    def on_panic(self, error: BaseException) -> None:
        self.heard.append(error)
        if self.config.get("panic") == "raise":
            raise ValueError("panic itself")
        while self.config.get("panic") == "hang":
            pass

    @function
    def add(self, by: int = 1) -> int:
        """Add to the count.

        More about it.
        """
        self.count.set(self.count.get() + by)
        return self.count.get()

    @function
    def keep(self, item: Item, *, colour: Colour = Colour.RED, tags: list[str] = []) -> list[Item]:  # noqa: B006  # a default that msgspec copies
        self.items.get()[item.sku] = item
        return list(self.items.get().values())

    @function
    async def add_later(self) -> int:
        await asyncio.sleep(0.001)
        self.count.set(self.count.get() + 1)
        return self.count.get()

    @function
    async def leave_tasks(self) -> int:
        self.left = asyncio.get_running_loop().create_task(asyncio.sleep(100))
        return 1

    @function
    async def wait(self) -> None:
        await asyncio.sleep(100)

    @function
    def names(self, function: str, timeout_microseconds: int, context: str) -> list[Any]:
        return [function, timeout_microseconds, context]

    @function
    def read(self) -> str:
        return self.bare.get()

    @function
    def trace(self) -> str:
        return self.traceparent

    @function
    def fail(self, kind: str) -> None:
        if kind == "exit":
            raise SystemExit(3)
        if kind == "text":
            raise BrokenTextError
        if kind == "path":
            raise OSError(2, "No such file", f"{self.config['where']}/sub/data.json")
        raise ValueError("x" * 10_000 if kind == "long" else kind)

    @function
    def spin(self) -> None:
        """Swallow all that an author's careless loop swallows."""
        while True:
            with contextlib.suppress(Exception):
                time.sleep(10)

    @function
    def answer(self, kind: str) -> int:
        wrong: dict[str, Any] = {"text": "no int", "none": None, "good": 3}
        return wrong[kind]  # type: ignore[no-any-return]

    @function
    def odd(self) -> Any:
        return object()

    @function
    def loop(self) -> list[Any]:
        endless: list[Any] = []
        endless.append(endless)
        return endless


def loaded(root: str = "", **config: str) -> LoadedPlugin:
    """Load the sample; the caller closes it."""
    return LoadedPlugin(Sample, IDENTITY, config, {}, root)


def index(plugin: LoadedPlugin, name: str) -> int:
    """Return the index of a function."""
    return [each.name for each in plugin.functions].index(name)
