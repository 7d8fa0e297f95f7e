"""Several async calls on one event loop: apart in time, in state, in what they leave behind."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from pluginsandbox.sdk import CallTimeout, Plugin, function, slot
from pluginsandbox.sdk.binding import Binding, LoadedPlugin
from pluginsandbox.sdk.errors import ArgumentsError, LoadError, PluginRaised
from pluginsandbox.sdk.overlap import Overlap, check
from pluginsandbox.sdk.testing import IDENTITY
from tests.unit.sdk.samples import Sample


class Async(Plugin):
    name = slot(str, default="nobody")

    def on_start(self) -> None:
        self.heard: list[str] = []

    def on_panic(self, error: BaseException) -> None:
        self.heard.append(f"{type(error).__name__} of {self.name.get()}")

    @function
    async def call(self, name: str = "", turns: int = 1, ends: str = "") -> list[str]:
        if name:
            self.name.set(name)
        seen = []
        for _ in range(turns):
            await asyncio.sleep(0)
            seen.append(self.name.get())
        if ends == "raise":
            raise ValueError(name)
        if ends == "wait":
            await asyncio.gather(asyncio.sleep(60), asyncio.sleep(60))
        while ends == "spin":
            pass
        if ends == "leave":
            self.left = asyncio.create_task(self._grow())
            await asyncio.sleep(0)
        return seen

    async def _grow(self) -> None:
        self.grown = [asyncio.create_task(asyncio.sleep(60))]
        await asyncio.sleep(60)


@pytest.fixture
def plugin() -> Iterator[LoadedPlugin]:
    made = LoadedPlugin(Async, IDENTITY, {}, {})
    yield made
    made.close()


def nothing() -> None:
    """Enter or leave a step."""


def run(*wanted: tuple[Binding, dict[str, Any]], timeout: int = 10_000_000) -> list[Any]:
    """Run calls at once, the first with this time-out; return results and exceptions."""
    loop = wanted[0][0].plugin.loop
    assert loop is not None
    overlap = Overlap(loop.events)

    async def one(time: int, binding: Binding, arguments: dict[str, Any]) -> Any:
        body = msgspec.json.encode(arguments)
        _, answer = await overlap.call(binding, 0, 0, body, time, nothing, nothing)
        return msgspec.json.decode(answer)

    async def all_of_them() -> list[Any]:
        times = [timeout, *[10_000_000] * len(wanted)]
        tasks = [
            asyncio.ensure_future(one(time, *each))
            for time, each in zip(times, wanted, strict=False)
        ]
        await asyncio.wait(tasks)
        return [task.exception() or task.result() for task in tasks]

    return loop.events.run_until_complete(all_of_them())


def test_each_context_sees_its_own_slots_across_awaits(plugin: LoadedPlugin) -> None:
    bindings = [plugin.bind(str(n), "", n) for n in (1, 2, 3)]
    names = [binding.instance.context.id for binding in bindings]
    calls = zip(bindings, ({"name": name, "turns": 5} for name in names), strict=True)
    found = run(*calls)
    assert found == [["1"] * 5, ["2"] * 5, ["3"] * 5]


def test_calls_of_one_context_share_its_slots(plugin: LoadedPlugin) -> None:
    one = plugin.bind("a", "", 1)
    assert run((one, {"name": "first", "turns": 2}), (one, {"name": "second", "turns": 2})) == [
        ["second", "second"],
        ["second", "second"],
    ]


@pytest.mark.parametrize("ends", ["wait", "spin"])
def test_a_call_over_its_time_is_stopped_alone(plugin: LoadedPlugin, ends: str) -> None:
    late, good = plugin.bind("a", "", 1), plugin.bind("b", "", 2)
    stopped, result = run(
        (late, {"name": "late", "ends": ends}), (good, {"name": "good"}), timeout=50_000
    )
    assert isinstance(stopped, CallTimeout)
    assert result == ["good"]
    assert late.instance.heard == ["CallTimeout of late"]  # type: ignore[attr-defined]
    assert run((late, {})) == [["late"]]


def test_errors_are_those_of_a_plain_call(plugin: LoadedPlugin) -> None:
    one = plugin.bind("a", "", 1)
    raised, wrong = run((one, {"name": "x", "ends": "raise"}), (one, {"turns": "many"}))
    assert isinstance(raised, PluginRaised)
    assert (raised.type, raised.message) == ("ValueError", "x")
    assert isinstance(wrong, ArgumentsError)
    assert one.instance.heard == ["ValueError of x"]  # type: ignore[attr-defined]


def test_what_a_call_started_ends_with_it_however_deep(plugin: LoadedPlugin) -> None:
    one = plugin.bind("a", "", 1)
    run((one, {"ends": "leave"}))
    instance: Any = one.instance
    assert instance.left.cancelled()
    assert all(task.cancelled() for task in instance.grown)


def test_a_plugin_that_cannot_overlap_is_refused() -> None:
    sample = LoadedPlugin(Sample, IDENTITY, {}, {})
    with pytest.raises(LoadError, match="function add is not async"):
        check(sample)
    sample.close()
