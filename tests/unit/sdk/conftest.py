from __future__ import annotations

import os
import traceback
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import pytest

from pluginsandbox.sdk.binding import Binding, LoadedPlugin
from tests.unit.sdk import samples

Call = Callable[..., Any]


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run a test marked `forked` in a child of its own: a process of one thread, as a worker is.

    Where there are more, the kernel may hand a timer's signal to another one; and the timer here is
    also pytest's own.
    """
    if pyfuncitem.get_closest_marker("forked") is None:
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # threads stay behind, as they should
        child = os.fork()
    if not child:
        _end_with(pyfuncitem)
    assert os.waitpid(child, 0)[1] == 0, "it failed in its child: see what that wrote"
    return True


def _end_with(test: pytest.Function) -> None:
    names = test._fixtureinfo.argnames
    try:
        test.obj(**{name: test.funcargs[name] for name in names})
        os._exit(0)
    except BaseException:  # noqa: BLE001 - told, and the child is over
        os.write(2, traceback.format_exc().encode())
        os._exit(1)


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
