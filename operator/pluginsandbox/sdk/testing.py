"""Test a plugin with plain pytest: no host, no cluster, the same binding code.

    with harness(InventoryCheck).context("shanghai-1") as warehouse:
        warehouse.call("reserve", sku="A-100", quantity=2)

Durable slots are stored after each call as in a sandbox, and `crash()` plays the death of the
worker. What is missing here is the wall: a plugin that writes a file or opens a socket can do so
in a test, and is refused in a sandbox. `pluginsandbox run` has the wall.
"""

from __future__ import annotations

import contextlib
import shutil
import tempfile
import weakref
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from pluginsandbox.sdk.binding import LoadedPlugin
from pluginsandbox.sdk.context import Context, Identity
from pluginsandbox.sdk.durable import DEFAULT_BYTES, Restored
from pluginsandbox.sdk.errors import CallError, CallTimeout, PluginRaised
from pluginsandbox.sdk.functions import Codec
from pluginsandbox.sdk.plugin import Plugin
from pluginsandbox.sdk.sharing import MemoryShelf

IDENTITY = Identity("test", "test", "test")
"""Of every plugin in a harness: classes that share slots by inheritance may meet in one test."""

SecretValue = bytes | Mapping[str, bytes]


class Caller:
    """Calls functions in one context, as a caller over HTTP does."""

    def __init__(
        self, loaded: LoadedPlugin, context: Context, timeout_microseconds: int, restored: Restored
    ) -> None:
        self.stored: dict[str, bytes | None] = dict(restored.slots)
        """Durable slots as the host holds them, by attribute; encoded with MessagePack."""
        self._loaded = loaded
        self._timeout = timeout_microseconds
        self._indexes = {f.name: index for index, f in enumerate(loaded.functions)}
        self._released = False
        self._bind(context, restored if restored.slots else None)

    def call(self, function: str, /, **arguments: Any) -> Any:
        """Call a function; arguments and result go through JSON.

        Args:
            function: Its name.
            arguments: Its arguments; structs and dataclasses may be given as such.

        Returns:
            The result as a caller sees it: dicts, lists, strings, numbers.

        Raises:
            ArgumentsError: The arguments do not fit the annotations.
            ResultError: The result does not fit, or cannot be encoded.
            DurableError: The durable slots cannot be stored.
            CallTimeout: It took longer than the harness allows.
            LookupError: There is no such function.
            Exception: Whatever the plugin raised, as it raised it.

        """
        try:
            return self._call(function, arguments)
        except PluginRaised as error:
            raise error.__cause__ or error from None
        finally:
            self._store()

    def crash(self, function: str = "", /, *, from_digest: str = "", **arguments: Any) -> None:
        """Lose the worker, as by SIGKILL, and bind anew with what is stored.

        Module globals survive, since this is one process; in a sandbox they do not.

        Args:
            function: Called just before: it does all it does, but the worker dies before its
                caller is answered, so that nothing of it is stored. Without, no call is running.
            from_digest: What `on_restore` is told.
            arguments: Of the function.

        Raises:
            RestoreError: `on_restore` refused; the context is over.
            StartError: `on_start` raised.
            LookupError: There is no such function.

        """
        if function:
            with contextlib.suppress(CallError, CallTimeout):
                self._call(function, arguments)
        if not self.stored:
            raise LookupError("nothing is stored: it has no durable slots, or was never called")
        context = self.plugin.context
        self._loaded.panicked("killed by crash()")
        self._bind(
            context._replace(generation=context.generation + 1),
            Restored(from_digest, dict(self.stored)),
        )

    def _call(self, function: str, arguments: Mapping[str, Any]) -> Any:
        if function not in self._indexes:
            names = ", ".join(self._indexes)
            raise LookupError(f"there is no function {function!r}; there are: {names}")
        body = msgspec.json.encode(arguments)
        index = self._indexes[function]
        _, answer = self._binding.call(index, Codec.JSON, body, self._timeout)
        return msgspec.json.decode(answer)

    def _bind(self, context: Context, restored: Restored | None) -> None:
        binding = self._loaded.bind(
            context.id, context.tenant, context.generation, self._timeout, restored
        )
        self._binding = binding
        self.plugin: Plugin = binding.instance
        """The instance behind, for a look inside; its slots have values only during a call."""

    def _store(self) -> None:
        if self._binding.durable is not None:
            n, changed = self._binding.durable.take()
            self.stored = changed if n == 1 and changed else self.stored | changed

    def release(self, cause: str = "Released") -> int:
        """End the context now; returns about how many bytes its slots held.

        Raises:
            AssertionError: `on_exit` raised; a sandbox would only log and count it.

        """
        if self._released:
            return 0
        self._released = True
        size = self._binding.reclaim(cause, self._timeout)
        if self._binding.exit_error:
            raise AssertionError(f"on_exit raised {self._binding.exit_error}")
        return size


class Harness:
    """Makes contexts of one plugin. Made by `harness`."""

    def __init__(
        self,
        plugin_class: type[Plugin],
        config: Mapping[str, str],
        secrets: Mapping[str, SecretValue],
        timeout_microseconds: int,
        durable_bytes: int,
    ) -> None:
        self._plugin_class = plugin_class
        self._durable_bytes = durable_bytes
        self._config = config
        self._secrets = self._write(secrets)
        self._timeout = timeout_microseconds
        self._loaded: LoadedPlugin | None = None
        self._open = 0
        self.published: dict[tuple[str, str], bytes] = {}
        """Plugin and name to what is published; the plugin under test is called `test`."""

    @contextlib.contextmanager
    def context(
        self,
        id_: str = "test",
        *,
        tenant: str = "",
        generation: int = 1,
        stored: Mapping[str, bytes | None] | None = None,
        from_digest: str = "",
    ) -> Iterator[Caller]:
        """Bind a context; at the end of the block it is released.

        Args:
            id_: Id of the context.
            tenant: Its tenant.
            generation: A greater number plays a context that was lost and bound anew.
            stored: Durable slots to begin with, such as those that another version of the plugin
                left in `Caller.stored`.
            from_digest: What `on_restore` is told then.

        Raises:
            LoadError: The class cannot be served.
            StartError: `on_start` raised, or `on_restore` refused what was stored.

        """
        if self._loaded is None:
            self._loaded = LoadedPlugin(
                self._plugin_class,
                IDENTITY,
                self._config,
                self._secrets,
                durable_bytes=self._durable_bytes,
            )
            self._loaded.shelf = MemoryShelf(IDENTITY.plugin, self.published)
        self._open += 1
        try:
            context = Context(id_, tenant, generation)
            restored = Restored(from_digest, stored or {})
            caller = Caller(self._loaded, context, self._timeout, restored)
            try:
                yield caller
            finally:
                caller.release()
        finally:
            self._open -= 1
            if not self._open:
                self._loaded.close()
                self._loaded = None

    def _write(self, secrets: Mapping[str, SecretValue]) -> dict[str, str]:
        if not secrets:
            return {}
        root = tempfile.mkdtemp(prefix="pluginsandbox-")
        weakref.finalize(self, shutil.rmtree, root)
        directories = {name: Path(root, name) for name in secrets}
        for name, value in secrets.items():
            directories[name].mkdir()
            for key, content in ({"value": value} if isinstance(value, bytes) else value).items():
                Path(directories[name], key).write_bytes(content)
        return {name: str(path) for name, path in directories.items()}


def harness(
    plugin_class: type[Plugin],
    *,
    config: Mapping[str, str] | None = None,
    secrets: Mapping[str, SecretValue] | None = None,
    call_timeout_milliseconds: int = 0,
    durable_bytes: int = DEFAULT_BYTES,
) -> Harness:
    """Make a harness for a plugin class.

    Args:
        plugin_class: The class under test.
        config: As `plugins[].config`.
        secrets: Name of each secret to its value, or to its keys and their values.
        call_timeout_milliseconds: Time for each call and hook; 0 = without limit. A limit takes
            SIGALRM for the time of the context, and gives it back.
        durable_bytes: As `plugins[].limits.durableBytes`.

    """
    timeout = call_timeout_milliseconds * 1000
    return Harness(plugin_class, config or {}, secrets or {}, timeout, durable_bytes)
