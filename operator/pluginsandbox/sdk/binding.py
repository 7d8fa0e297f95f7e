"""One plugin, loaded, and its bindings: what the worker's loop calls."""

from __future__ import annotations

import contextvars
import sys
import types
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pluginsandbox.sdk.context import Context, Identity
from pluginsandbox.sdk.deadline import Deadline
from pluginsandbox.sdk.durable import DEFAULT_BYTES, Durable, Restored, durable_slots
from pluginsandbox.sdk.errors import (
    CallTimeout,
    LoadError,
    PluginRaised,
    RestoreError,
    StartError,
    WorkerDied,
)
from pluginsandbox.sdk.functions import (
    CO_COROUTINE,
    Function,
    FunctionDescription,
    find_functions,
)
from pluginsandbox.sdk.messages import describe
from pluginsandbox.sdk.plugin import Plugin
from pluginsandbox.sdk.sharing import NoShelf, Shelf
from pluginsandbox.sdk.sizes import estimate
from pluginsandbox.sdk.slots import MISSING, Slot

if TYPE_CHECKING:
    from pluginsandbox.sdk.coroutines import Loop

# on_panic runs before the caller is answered.
ON_PANIC_MICROSECONDS = 100_000


class LoadedPlugin:
    """A plugin class, checked and described, from which bindings are made.

    Args:
        plugin_class: The author's class.
        identity: Which plugin of which sandbox it is; its key names the slots.
        config: `plugins[].config`.
        secrets: Name of each secret to the directory it is mounted in.
        root: Directory of the plugin's files, kept out of messages.
        durable_bytes: Size that the durable slots of one context may have.

    Raises:
        LoadError: EntryPointInvalid: the class cannot be served.

    """

    def __init__(
        self,
        plugin_class: type[Plugin],
        identity: Identity,
        config: Mapping[str, str],
        secrets: Mapping[str, str],
        root: str = "",
        durable_bytes: int = DEFAULT_BYTES,
    ) -> None:
        self.plugin_class = plugin_class
        self.key = identity.key
        self.deadline = Deadline()
        self.slots = _slots(plugin_class, self.key)
        self.durable = durable_slots(self.slots)
        self.durable_bytes = durable_bytes
        self.loop: Loop | None = None
        self.shelf: Shelf = NoShelf()
        """Where it publishes; set by who runs it."""
        self.config: Mapping[str, str] = types.MappingProxyType(dict(config))
        self.secrets: Mapping[str, str] = types.MappingProxyType(dict(secrets))
        self._roots = [path for path in (root, *secrets.values()) if path]
        self._panic = ""
        self.methods: tuple[Function, ...] = find_functions(plugin_class)
        _check_hooks(plugin_class)
        if any(method.is_async for method in self.methods):
            from pluginsandbox.sdk.coroutines import Loop  # noqa: PLC0415  # slow to import

            self.loop = Loop()

    @property
    def functions(self) -> tuple[FunctionDescription, ...]:
        """What callers may call; `Binding.call` takes the index in here.

        Raises:
            LoadError: EntryPointInvalid: a type cannot be described.

        """
        return tuple(method.describe() for method in self.methods)

    def panicked(self, message: str) -> None:
        """Tell that the worker before this one died; the next binding's on_panic hears it."""
        self._panic = message

    def bind(
        self,
        context: str,
        tenant: str,
        generation: int,
        timeout_microseconds: int = 0,
        restored: Restored | None = None,
    ) -> Binding:
        """Make a binding: an instance with slots of its own; runs `on_start`.

        With durable state of an earlier binding, that is filled in then and `on_restore` runs.

        Args:
            context: Id of the context.
            tenant: Its tenant, or empty.
            generation: Number of the binding, greater than that of any earlier one.
            timeout_microseconds: Time for `on_start` and `on_restore`; 0 = without limit.
            restored: Durable state to begin with.

        Raises:
            RestoreError: `on_restore` raised, or the state does not fit; there is no binding.
            StartError: `__init__` or `on_start` raised, or time or memory ran out; there is no
                binding either.

        """
        binding = Binding(self, Context(context, tenant, generation))
        try:
            self.deadline.run(timeout_microseconds, binding.variables.run, binding.start, restored)
            binding.settle()
            if self._panic:
                panic, self._panic = WorkerDied(self._panic), ""
                binding.tell_panic(panic)
                binding.settle()
        except RestoreError:
            raise
        except BaseException as error:
            raise StartError(*self.describe(error)) from error
        return binding

    def describe(self, error: BaseException) -> tuple[str, str]:
        """Return type and message of what a plugin raised, fit for a caller."""
        try:
            return self.deadline.run(ON_PANIC_MICROSECONDS, describe, error, self._roots)
        except BaseException:  # noqa: BLE001  # the error's own __str__ is the plugin's code
            return type(error).__name__, ""

    def close(self) -> None:
        """Give back the timer and the event loop; for tests, a worker just ends."""
        self.deadline.close()
        if self.loop is not None:
            self.loop.close()


class Binding:
    """One context of one plugin: an instance of the class and the values of its slots."""

    __slots__ = ("durable", "exit_error", "instance", "plugin", "variables")

    def __init__(self, plugin: LoadedPlugin, context: Context) -> None:
        self.plugin = plugin
        self.variables = contextvars.Context()
        self.durable: Durable | None = None
        """Its durable slots; None when the plugin has none."""
        if plugin.durable:
            self.durable = Durable(plugin.durable, self.variables, plugin.durable_bytes)
        self.exit_error = ""
        """What `on_exit` raised, set by `reclaim`; empty if it did not."""
        instance = plugin.plugin_class.__new__(plugin.plugin_class)
        instance.context = context
        instance.config = plugin.config
        instance._secret_directories = plugin.secrets  # noqa: SLF001  # the SDK's own field
        instance._shelf = plugin.shelf  # noqa: SLF001
        self.instance = instance

    def start(self, restored: Restored | None) -> None:
        """Run what comes before the first call; inside the binding's variables.

        Raises:
            RestoreError: `on_restore` raised, or the state does not fit.

        """
        for slot in self.plugin.slots:
            slot.start()
        self.instance.__init__()  # type: ignore[misc]  # made above, so that it sees its context
        self.instance.on_start()
        if restored is not None:
            self._restore(restored)

    def _restore(self, restored: Restored) -> None:
        try:
            if self.durable is not None:
                self.durable.restore(restored.slots)
            self.instance.on_restore(restored.digest)
        except MemoryError:
            raise  # nobody refused anything: another time there may be room
        except Exception as error:
            raise RestoreError(*self.plugin.describe(error)) from error

    def settle(self) -> None:
        """Take note of what the durable slots are, for the host to store.

        Raises:
            DurableError: They cannot be stored; they are as they were before the call.

        """
        if self.durable is not None:
            self.durable.settle()

    def call(
        self,
        function_index: int,
        codec: int,
        body: bytes,
        timeout_microseconds: int = 0,
        traceparent: str = "",
    ) -> tuple[int, bytes]:
        """Call one function.

        Args:
            function_index: Index in `LoadedPlugin.functions`.
            codec: `functions.Codec` of `body`; the result comes in the same.
            body: Arguments object; empty = no arguments.
            timeout_microseconds: Time for the plugin's code; 0 = without limit.
            traceparent: W3C trace context of the call, for the plugin to read.

        Returns:
            Codec and bytes of the result.

        Raises:
            ArgumentsError: The arguments do not fit; nothing ran.
            PluginRaised: The plugin raised; its exception is the cause.
            ResultError: The result does not fit or cannot be encoded.
            DurableError: The durable slots cannot be stored.
            CallTimeout: Its time was over and the plugin let itself be stopped.

        """
        function = self.plugin.methods[function_index]
        arguments = function.arguments(codec, body)
        self.instance.traceparent = traceparent
        try:
            value = self._run(function, timeout_microseconds, arguments)
        except BaseException as error:
            self._roll_back_if_stopped(error)
            self.tell_panic(error)
            self.settle()
            if isinstance(error, CallTimeout):
                raise
            raise PluginRaised(*self.plugin.describe(error)) from error
        if self.durable is not None:
            self.durable.settle()
        return codec, function.result(codec, value)

    def reclaim(self, cause: str, timeout_microseconds: int = 0) -> int:
        """Run `on_exit(cause)`; the binding must not be used afterwards. Never raises.

        Args:
            cause: Released | Idle | Deadline | Finalized | Crashed | Evicted | Shutdown.
            timeout_microseconds: Time for `on_exit`; 0 = without limit.

        Returns:
            About how many bytes the slots held. Taken before `on_exit`, which may empty them:
            what the context held is what the platform gets back.

        """
        size = estimate(
            value
            for slot in self.plugin.slots
            if (value := slot.stored(self.variables)) is not MISSING
        )
        try:
            self._hook(timeout_microseconds, self.instance.on_exit, cause)
        except BaseException as error:  # noqa: BLE001  # a plugin's hook never stops a reclaiming
            self.exit_error = ": ".join(self.plugin.describe(error))
        return size

    def tell_panic(self, error: BaseException) -> None:
        """Run `on_panic(error)`, bounded; what it raises is only logged."""
        try:
            self._hook(ON_PANIC_MICROSECONDS, self.instance.on_panic, error)
        except BaseException as again:  # noqa: BLE001  # the caller hears the first error
            self._roll_back_if_stopped(again)
            told = ": ".join(self.plugin.describe(again))
            sys.stderr.write(f"on_panic raised {told}\n")

    def _roll_back_if_stopped(self, error: BaseException) -> None:
        """Undo what code did to the durable slots that was stopped anywhere in the middle."""
        if self.durable is not None and isinstance(error, CallTimeout):
            self.durable.roll_back()

    def _run(self, function: Function, timeout: int, arguments: dict[str, Any]) -> Any:
        deadline, loop = self.plugin.deadline, self.plugin.loop
        if function.is_async and loop is not None:
            return deadline.run(
                timeout, loop.run, self.variables, function.method, self.instance, **arguments
            )
        return deadline.run(
            timeout, self.variables.run, function.method, self.instance, **arguments
        )

    def _hook(self, timeout: int, hook: Callable[[Any], None], argument: object) -> None:
        self.plugin.deadline.run(timeout, self.variables.run, hook, argument)


def _slots(plugin_class: type[Plugin], key: str) -> Sequence[Slot[Any]]:
    found = [
        value
        for name in dir(plugin_class)
        if isinstance(value := getattr(plugin_class, name, None), Slot)
    ]
    for slot in found:
        if slot.attribute in Plugin.__annotations__ or hasattr(Plugin, slot.attribute):
            raise _invalid(plugin_class, f"slot {slot.attribute!r}: Plugin uses that name itself")
        try:
            slot.bind_key(key)
        except ValueError as error:
            raise _invalid(plugin_class, str(error)) from error
    return found


def _check_hooks(plugin_class: type[Plugin]) -> None:
    for name in ("on_start", "on_restore", "on_exit", "on_panic"):
        code = getattr(getattr(plugin_class, name), "__code__", None)
        if code is not None and code.co_flags & CO_COROUTINE:
            raise _invalid(plugin_class, f"{name} must be a plain def; only functions may be async")
    made_by = plugin_class.__init__
    code = getattr(made_by, "__code__", None)
    if code is not None and code.co_argcount - len(made_by.__defaults__ or ()) > 1:
        raise _invalid(plugin_class, "__init__ must take no parameters; see self.config")


def _invalid(plugin_class: type, message: str) -> LoadError:
    return LoadError("EntryPointInvalid", f"class {plugin_class.__name__}: {message}")
