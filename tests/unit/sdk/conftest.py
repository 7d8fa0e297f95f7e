from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import pytest

from pluginsandbox.sdk.binding import Binding, LoadedPlugin
from tests.unit.sdk import samples

Call = Callable[..., Any]


@pytest.fixture
def plugin() -> Iterator[LoadedPlugin]:
    """The sample plugin, loaded."""
    made = samples.loaded()
    yield made
    made.close()


@pytest.fixture
def binding(plugin: LoadedPlugin) -> Binding:
    """One binding of it."""
    return plugin.bind("c", "", 1)


@pytest.fixture
def call(plugin: LoadedPlugin, binding: Binding) -> Call:
    """Call a function of the binding with JSON and return the decoded result."""

    def make(name: str, *, timeout: int = 0, to: Binding = binding, **arguments: Any) -> Any:
        body = msgspec.json.encode(arguments)
        codec, answer = to.call(samples.index(plugin, name), 0, body, timeout, "")
        assert codec == 0
        return msgspec.json.decode(answer)

    return make
