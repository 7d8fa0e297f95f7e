"""What the call path asks when a context is not here and the sandbox may have other pods.

`host.peers` answers; a host that is alone has nobody to ask and pays nothing for the question.
"""

from __future__ import annotations

from typing import Protocol

import msgspec

from pluginsandbox.host.calls import Call
from pluginsandbox.host.contexts import Cause
from pluginsandbox.host.http_answer import Answerer


class ContextRequest(msgspec.Struct, frozen=True, array_like=True):
    """A request about a context."""

    method: str
    context: str
    body: bytes = b""
    cause: Cause = "Released"
    """Of a DELETE."""


class Elsewhere(Protocol):
    """The other pods."""

    def holds(self, tenant: str, name: str) -> bool:
        """Whether a context that is not there yet may be made here."""

    def seek(self, call: Call, name: str) -> None:
        """Find the context of a call that waits, and send the call there or place it here."""

    def reach(self, answerer: Answerer, request: ContextRequest) -> None:
        """Have a request answered where its context is."""

    def trouble(self) -> str:
        """Return what is wrong with the other pods, for a person; empty if nothing is known."""

    def abandon(self, call: Call) -> None:
        """Let a call go that is with another pod: its caller is gone."""
