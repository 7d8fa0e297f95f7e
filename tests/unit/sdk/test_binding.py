from __future__ import annotations

import asyncio

import msgspec
import pytest

from pluginsandbox.sdk import Plugin, WorkerDied, function
from pluginsandbox.sdk.binding import Binding, LoadedPlugin
from pluginsandbox.sdk.errors import LoadError, PluginRaised, ResultError, StartError
from pluginsandbox.sdk.messages import relative
from pluginsandbox.sdk.testing import IDENTITY
from tests.unit.sdk import samples
from tests.unit.sdk.conftest import Call


def test_every_binding_has_an_instance_and_state_of_its_own(
    plugin: LoadedPlugin, binding: Binding, call: Call
) -> None:
    other = plugin.bind("d", "tenant", 2)
    assert [call("add"), call("add"), call("add", to=other), call("add")] == [1, 2, 1, 3]
    assert other.instance.context == ("d", "tenant", 2)
    assert binding.instance is not other.instance
    assert call("keep", item={"sku": "a"}) == [{"sku": "a", "quantity": 1}]
    assert call("keep", to=other, item={"sku": "b"}) == [{"sku": "b", "quantity": 1}]


def test_init_sees_its_context_and_runs_before_on_start(binding: Binding) -> None:
    assert binding.instance.heard == [("init", "c"), "start"]  # type: ignore[attr-defined]


def test_messagepack_in_gives_messagepack_out(plugin: LoadedPlugin, binding: Binding) -> None:
    body = msgspec.msgpack.encode({"by": 7})
    answer = binding.call(samples.index(plugin, "add"), 1, body, 0, "")
    assert answer == (1, msgspec.msgpack.encode(7))


@pytest.mark.parametrize("codec", [0, 1])
def test_an_empty_body_means_no_arguments(
    plugin: LoadedPlugin, binding: Binding, codec: int
) -> None:
    assert binding.call(samples.index(plugin, "add"), codec, b"", 0, "")[0] == codec


def test_an_async_function_keeps_its_state_in_the_same_context(call: Call) -> None:
    assert [call("add"), call("add_later"), call("add"), call("add_later")] == [1, 2, 3, 4]


def test_tasks_an_async_function_leaves_behind_are_cancelled(call: Call, binding: Binding) -> None:
    assert call("leave_tasks") == 1
    assert binding.instance.left.cancelled()  # type: ignore[attr-defined]


def test_arguments_may_have_any_name(call: Call) -> None:
    assert call("names", function="f", timeout_microseconds=1, context="c") == ["f", 1, "c"]


def test_the_plugin_reads_the_calls_traceparent(plugin: LoadedPlugin, binding: Binding) -> None:
    index = samples.index(plugin, "trace")
    assert binding.call(index, 0, b"", 0, "00-abc-def-01") == (0, b'"00-abc-def-01"')
    assert binding.call(index, 0, b"", 0, "") == (0, b'""')


def test_what_the_plugin_raises_is_told_and_given_to_on_panic(call: Call, binding: Binding) -> None:
    with pytest.raises(PluginRaised) as caught:
        call("fail", kind="too late")
    assert (caught.value.type, caught.value.message) == ("ValueError", "too late")
    assert binding.instance.heard[-1] is caught.value.__cause__  # type: ignore[attr-defined]
    assert call("add") == 1, "the binding lives on"


def test_a_plugin_cannot_end_the_worker_by_leaving(call: Call) -> None:
    with pytest.raises(PluginRaised, match="SystemExit: 3"):
        call("fail", kind="exit")


def test_a_message_is_bounded_and_survives_a_broken_str(call: Call) -> None:
    with pytest.raises(PluginRaised) as caught:
        call("fail", kind="long")
    assert len(caught.value.message) == 2000
    with pytest.raises(PluginRaised, match=r"BrokenTextError: .*__str__ raised RuntimeError"):
        call("fail", kind="text")


def test_a_message_names_no_path_of_the_host() -> None:
    plugin = samples.loaded(root="/srv/plugins/7", where="/srv/plugins/7")
    body = msgspec.json.encode({"kind": "path"})
    with pytest.raises(PluginRaised) as caught:
        plugin.bind("c", "", 1).call(samples.index(plugin, "fail"), 0, body, 0, "")
    assert caught.value.message == "[Errno 2] No such file: 'sub/data.json'"
    plugin.close()


def test_paths_are_cut_at_their_borders_only() -> None:
    text = "/srv/p/7/a.py, /srv/p/77/b.py, in /srv/p/7; " + asyncio.__file__
    assert relative(text, ["/srv/p/7"]) == "a.py, /srv/p/77/b.py, in .; asyncio/__init__.py"


def test_an_empty_slot_is_named(call: Call) -> None:
    with pytest.raises(PluginRaised, match="slot 'bare' has no value yet: set it in on_start"):
        call("read")


@pytest.mark.parametrize("kind", ["text", "none"])
def test_a_result_must_be_what_was_promised(call: Call, kind: str) -> None:
    with pytest.raises(ResultError, match="answer must return int, got"):
        call("answer", kind=kind)
    assert call("answer", kind="good") == 3


@pytest.mark.parametrize("name", ["odd", "loop"])
def test_a_result_that_cannot_be_encoded_is_the_plugins_fault(call: Call, name: str) -> None:
    with pytest.raises(ResultError, match=f"the result of {name} cannot be encoded"):
        call(name)


def test_reclaiming_runs_on_exit_and_estimates_the_state(binding: Binding, call: Call) -> None:
    call("keep", item={"sku": "x" * 5000})
    assert 5000 < binding.reclaim("Idle") < 10_000
    assert binding.instance.heard[-1] == ("exit", "Idle", 0)  # type: ignore[attr-defined]
    assert binding.exit_error == ""


def test_a_failing_on_exit_is_told_and_stops_nothing() -> None:
    plugin = samples.loaded(exit="raise")
    binding = plugin.bind("c", "", 1)
    assert binding.reclaim("Released") > 0
    assert binding.exit_error == "ValueError: cannot leave"
    plugin.close()


def test_a_failing_on_panic_hides_no_error(capsys: pytest.CaptureFixture[str]) -> None:
    plugin = samples.loaded(panic="raise")
    binding = plugin.bind("c", "", 1)
    with pytest.raises(PluginRaised, match="ValueError: first"):
        binding.call(samples.index(plugin, "fail"), 0, b'{"kind": "first"}', 0, "")
    assert capsys.readouterr().err == "on_panic raised ValueError: panic itself\n"
    plugin.close()


def test_the_next_binding_hears_that_the_last_worker_died(plugin: LoadedPlugin) -> None:
    plugin.panicked("signal SIGSEGV")
    first, second = plugin.bind("a", "", 1), plugin.bind("b", "", 1)
    error = first.instance.heard[-1]  # type: ignore[attr-defined]
    assert isinstance(error, WorkerDied)
    assert str(error) == "signal SIGSEGV"
    assert second.instance.heard[-1] == "start"  # type: ignore[attr-defined]


def test_a_failing_on_start_makes_no_binding() -> None:
    class Broken(Plugin):
        def on_start(self) -> None:
            raise KeyError("sku")

        @function
        def ping(self) -> None: ...

    plugin = LoadedPlugin(Broken, IDENTITY, {}, {})
    with pytest.raises(StartError) as caught:
        plugin.bind("c", "", 1)
    assert (caught.value.type, caught.value.message) == ("KeyError", "'sku'")


def test_hooks_must_be_plain_and_init_without_parameters() -> None:
    class AsyncStart(Plugin):
        async def on_start(self) -> None:  # type: ignore[override]
            pass

        @function
        def ping(self) -> None: ...

    class Greedy(Plugin):
        def __init__(self, size: int) -> None:
            self.size = size

        @function
        def ping(self) -> None: ...

    with pytest.raises(LoadError, match="AsyncStart: on_start must be a plain def"):
        LoadedPlugin(AsyncStart, IDENTITY, {}, {})
    with pytest.raises(LoadError, match="Greedy: __init__ must take no parameters"):
        LoadedPlugin(Greedy, IDENTITY, {}, {})


def test_configuration_is_read_only(binding: Binding) -> None:
    with pytest.raises(TypeError):
        binding.instance.config["x"] = "y"  # type: ignore[index]
