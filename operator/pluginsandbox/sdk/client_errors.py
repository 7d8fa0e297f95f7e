"""What can go wrong for a caller, named by what the caller should do.

SandboxError
├── TryAgainError       it did not run; the same call may succeed later, after `retry_after` seconds
├── RefusedError        it did not run and never will as it is: change the call
│   └── BindingGoneError    the binding it wanted as it was is gone; `cause` says why
├── UncertainError      it may have run: look before repeating it
└── PluginFailedError   it ran, and the plugin raised; repeating it repeats what it did
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

import msgspec

_MEDIA_TYPE = "application/problem+json"


class SandboxError(Exception):
    """A call did not return a result.

    Args:
        detail: For a person.
        status: HTTP status; 0 when there was no answer.
        more: The problem document's further members.

    """

    def __init__(self, detail: str, status: int = 0, **more: Any) -> None:
        super().__init__(detail)
        self.status = status
        self.kind: str = str(more.get("type", "")).rpartition(":")[2]
        """Short name of the problem, such as `queue-full`."""
        self.more = more
        """The whole problem document."""


class TryAgainError(SandboxError):
    """The call did not run; later it may."""

    retry_after: float | None = None
    """Seconds after which to try again, if the sandbox said so."""


class RefusedError(SandboxError):
    """The call did not run, and will not unless it is changed."""

    @property
    def argument(self) -> str:
        """The argument at fault; empty if it is none."""
        return str(self.more.get("argument", ""))


class BindingGoneError(RefusedError):
    """The call wanted a binding as it was, and that is gone."""

    @property
    def cause(self) -> str:
        """Why it was reclaimed; empty if that is not known."""
        return str(self.more.get("cause", ""))


class UncertainError(SandboxError):
    """Nobody knows whether the call ran, or how far."""


class PluginFailedError(SandboxError):
    """The call ran, and the plugin raised or returned what it must not."""

    @property
    def exception(self) -> str:
        """Name of the exception's class; empty if the plugin raised none."""
        return str(self.more.get("exception", ""))


def from_answer(status: int, headers: dict[str, str], body: bytes) -> SandboxError:
    """Read an answer that is no result.

    Args:
        status: HTTP status.
        headers: By name in lower case.
        body: As it came.

    """
    document = _document(headers.get("content-type", ""), body)
    detail = str(document.pop("detail", "")) or f"HTTP status {status} and no word why"
    document.pop("status", None)
    error = _kind(status, str(document.get("executed", "maybe")))(detail, status, **document)
    after = headers.get("retry-after", "")
    if isinstance(error, TryAgainError) and after.isdecimal():
        error.retry_after = float(after)
    return error


def _document(media_type: str, body: bytes) -> dict[str, Any]:
    """Return a problem document; nothing if a proxy answered with a page of its own."""
    if media_type.partition(";")[0].strip() != _MEDIA_TYPE:
        return {}
    try:
        return msgspec.json.decode(body, type=dict[str, Any])
    except (msgspec.MsgspecError, ValueError):
        return {}


def _kind(status: int, executed: str) -> type[SandboxError]:
    if executed == "yes":
        return PluginFailedError
    if executed != "no":
        return UncertainError
    if status == HTTPStatus.GONE:
        return BindingGoneError
    passing = (HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS)
    for_good = status < HTTPStatus.INTERNAL_SERVER_ERROR and status not in passing
    return RefusedError if for_good else TryAgainError
