"""What a Python caller uses: calls, and contexts that are given back when their handle goes.

    client = Client("http://shop.default.svc:8080")
    with client.open_context() as cart:
        cart.call("cart", "add", sku="A-100", quantity=2)

Blocking, and safe from threads. In asyncio, call it by `asyncio.to_thread`.
"""

from __future__ import annotations

import sys
import types
import urllib.parse
import uuid
import weakref
from collections.abc import Mapping
from typing import Any, Self

import msgspec

from pluginsandbox.sdk import client_errors
from pluginsandbox.sdk.releaser import Place, Releaser
from pluginsandbox.sdk.transport import Transport

__all__ = ["Client", "OpenContext"]

TIMEOUT_SECONDS = 120.0


class Client:
    """A caller of one sandbox. To be made after a process has forked, not before.

    Args:
        url: Where it serves, `status.endpoint` of the PluginSandbox.
        timeout_seconds: How long to wait for a connection, and for an answer.

    Raises:
        ValueError: The URL is not one of HTTP.

    """

    def __init__(self, url: str, *, timeout_seconds: float = TIMEOUT_SECONDS) -> None:
        self._transport = Transport(url, timeout_seconds)
        self._releaser = Releaser(self._transport)
        weakref.finalize(self, self._releaser.end)

    def call(
        self,
        plugin: str,
        function: str,
        arguments: Mapping[str, Any] | None = None,
        *,
        context: str | None = None,
        existing: bool = False,
        timeout_seconds: float | None = None,
        traceparent: str | None = None,
    ) -> Any:
        """Call a function.

        Args:
            plugin: Its plugin.
            function: Its name.
            arguments: By name; structs, dataclasses and dates are sent as JSON has them.
            context: In which context; None for a fresh one that ends with the call.
            existing: Fail with BindingGoneError rather than start with fresh state.
            timeout_seconds: Tightens the plugin's own time-out.
            traceparent: W3C trace context, for the plugin and for the logs.

        Returns:
            What it returned, as JSON has it.

        Raises:
            TryAgainError: It did not run; later it may.
            RefusedError: It did not run and will not as it is.
            UncertainError: It may have run.
            PluginFailedError: It ran, and failed.

        """
        named = {
            "Content-Type": "application/json",
            "Sandbox-Context": context,
            "Sandbox-Bind": "existing" if existing else None,
            "Sandbox-Timeout-Ms": _milliseconds(timeout_seconds),
            "traceparent": traceparent,
        }
        headers = {name: value for name, value in named.items() if value is not None}
        body = msgspec.json.encode(arguments or {})
        answer = self._transport.send("POST", function_path(plugin, function), body, headers)
        if answer.status != 200:  # noqa: PLR2004 - HTTPStatus.OK
            raise client_errors.from_answer(*answer)
        return msgspec.json.decode(answer.body)

    def open_context(self, id: str | None = None) -> OpenContext:  # noqa: A002 - what it is
        """Make a handle that owns a context: when it is closed, the context ends.

        Args:
            id: Of the context; None for a new one. For a context that outlives this caller, or has
                several, use `call(..., context=id)` instead.

        """
        caller = sys._getframe(1)  # noqa: SLF001 - a warning should name the line that opened it
        place = Place(caller.f_code.co_filename, caller.f_lineno)
        return OpenContext(self, self._releaser, id or uuid.uuid4().hex, place)

    def release(self, context: str) -> None:
        """End a context; does nothing if it is not there.

        Raises:
            SandboxError: The sandbox did not answer, or refused.

        """
        answer = self._transport.send("DELETE", context_path(context))
        if answer.status != 200:  # noqa: PLR2004 - HTTPStatus.OK
            raise client_errors.from_answer(*answer)

    def close(self) -> None:
        """Close the connections. Contexts stay as they are, and further calls connect anew."""
        self._transport.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class OpenContext:
    """A context that ends with its handle. Made by `Client.open_context`.

    One that is collected without having been closed is released as well, in the background, but
    counted as a leak at both ends: `ResourceWarning` here, cause `Finalized` there.
    """

    def __init__(self, client: Client, releaser: Releaser, id_: str, place: Place) -> None:
        self.id = id_
        """Of the context."""
        self._client = client
        self._releaser = releaser
        releaser.opened(id_)
        self._leak = weakref.finalize(self, releaser.leaked, id_, place)

    def call(self, plugin: str, function: str, /, **arguments: Any) -> Any:
        """Call a function in this context; see `Client.call`.

        Raises:
            ValueError: The handle is closed.
            SandboxError: As `Client.call`.

        """
        if not self._leak.alive:
            raise ValueError(f"context {self.id} is closed")
        return self._client.call(plugin, function, arguments, context=self.id)

    def close(self) -> None:
        """Release the context; repeating does nothing.

        Raises:
            SandboxError: The sandbox did not answer; its own idle time will end the context.

        """
        if self._leak.detach() is not None:
            self._releaser.closed(self.id)
            self._client.release(self.id)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: types.TracebackType | None,
    ) -> None:
        try:
            self.close()
        except client_errors.SandboxError:
            # The block's own error is the one to hear of.
            if error is None:
                raise


def function_path(plugin: str, function: str) -> str:
    """Return the path of a function."""
    words = (urllib.parse.quote(word, safe="") for word in (plugin, function))
    return "/v1/plugins/{}/functions/{}".format(*words)


def context_path(context: str) -> str:
    """Return the path of a context."""
    return f"/v1/contexts/{urllib.parse.quote(context, safe='')}"


def _milliseconds(seconds: float | None) -> str | None:
    return None if seconds is None else str(max(1, round(seconds * 1000)))
