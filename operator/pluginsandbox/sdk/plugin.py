"""The class an author derives from, and the mark on what callers may call."""

from __future__ import annotations

import types
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from pluginsandbox.sdk.context import Context
from pluginsandbox.sdk.secrets import read_secret
from pluginsandbox.sdk.sharing import Data, NoShelf, Shelf

Method = TypeVar("Method", bound=Callable[..., Any])

FUNCTION_MARK = "__pluginsandbox_function__"


def function(method: Method) -> Method:
    """Let callers call this method of a Plugin; every parameter and the result need annotations.

    Args:
        method: A plain or an async method. An async one runs to its end before the next call.

    Returns:
        The method itself.

    """
    setattr(method, FUNCTION_MARK, True)
    return method


class Plugin:
    """Base class of a plugin. One instance serves one context; state belongs in slots.

    An author may define `__init__` without parameters; `context`, `config` and `secret` work there
    already.
    """

    context: Context
    """Whom this instance serves: `id`, `tenant`, `generation`."""
    config: Mapping[str, str] = types.MappingProxyType({})
    """`plugins[].config` of the sandbox; read-only."""
    traceparent: str = ""
    """W3C traceparent of the running call; empty when the caller sent none."""
    _secret_directories: Mapping[str, str] = types.MappingProxyType({})
    _shelf: Shelf = NoShelf()

    def secret(self, name: str, key: str | None = None) -> bytes:
        """Return a secret's value as it is now.

        Args:
            name: `plugins[].secrets[].name` of the sandbox.
            key: Which key of the Secret; may be left out when it has only one.

        Raises:
            SecretError: The plugin was not given that secret, or it has no such key.

        """
        return read_secret(self._secret_directories, name, key)

    def publish(self, name: str, data: Data) -> None:
        """Let every plugin of the sandbox read some bytes, without a copy for each; in a call only.

        The host copies them once and seals them; they outlive this context and this worker.

        Args:
            name: Of what; published again, it is replaced for all calls that begin to read it then.
            data: Bytes; none takes the name away.

        Raises:
            SharingError: `limits.publishedBytes` is not set or not enough, or no call is running.

        """
        self._shelf.publish(name, data)

    def published(self, plugin: str, name: str) -> memoryview | None:
        """Return what a plugin published, read-only; in a call only.

        Args:
            plugin: Who published it.
            name: As what.

        Returns:
            A view that is released at the end of the call: take slices as bytes, or anew. None if
            nothing is published.

        Raises:
            SharingError: No call is running.

        """
        return self._shelf.published(plugin, name)

    def on_start(self) -> None:
        """Run once, before the first call of a context. If it raises, that call fails."""

    def on_restore(self, from_digest: str) -> None:
        """Run after `on_start` when the durable slots hold what an earlier worker left in them.

        Args:
            from_digest: Digest of the code that wrote them; empty if unknown.

        Raise to refuse: the state is dropped, and the caller is told.

        """

    def on_exit(self, cause: str) -> None:
        """Run once, when the context ends: Released, Idle, Deadline, Shutdown and so on."""

    def on_panic(self, error: BaseException) -> None:
        """Run after a call raised; and with WorkerDied after the last worker died."""
