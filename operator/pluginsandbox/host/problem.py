"""Every error a caller can see: an RFC 9457 problem document that says whether the plugin ran.

The doors and the call path raise or hand over a `Problem`; nothing else becomes an error answer.
`executed` is a promise: only what says `no` may be tried again without thought.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Literal, get_args

import msgspec

Executed = Literal["no", "maybe", "yes"]

MEDIA_TYPE = "application/problem+json"
TYPE_PREFIX = "tag:pluginsandbox.dev,2026:"
# What a plugin says about itself is shown, but a message of its own must not grow without bound.
MESSAGE_CHARACTERS = 2000


class Kind(msgspec.Struct, frozen=True):
    """A sort of problem: what is the same each time it happens."""

    slug: str
    status: HTTPStatus
    title: str
    executed: Executed
    retry_after: int | None = None
    """Seconds for the header `Retry-After`."""


MALFORMED = Kind("malformed", HTTPStatus.BAD_REQUEST, "The request is malformed", "no")
ARGUMENTS = Kind("arguments", HTTPStatus.BAD_REQUEST, "An argument is wrong", "no")
STRANGER = Kind("stranger", HTTPStatus.UNAUTHORIZED, "The sender is not known", "no")
NO_PLUGIN = Kind("no-plugin", HTTPStatus.NOT_FOUND, "There is no such plugin", "no")
NO_FUNCTION = Kind("no-function", HTTPStatus.NOT_FOUND, "There is no such function", "no")
NO_CONTEXT = Kind("no-context", HTTPStatus.NOT_FOUND, "There is no such context", "no")
NO_PATH = Kind("no-path", HTTPStatus.NOT_FOUND, "There is nothing at this path", "no")
METHOD = Kind("method", HTTPStatus.METHOD_NOT_ALLOWED, "The method is not allowed here", "no")
SLOW = Kind("slow", HTTPStatus.REQUEST_TIMEOUT, "The request came too slowly", "no")
GONE = Kind("binding-gone", HTTPStatus.GONE, "The binding is gone", "no")
TOO_LARGE = Kind("too-large", HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "The body is too large", "no")
EXPECTATION = Kind(
    "expectation", HTTPStatus.EXPECTATION_FAILED, "The expectation cannot be met", "no"
)
HEADERS = Kind(
    "headers", HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "The headers are too large", "no"
)
QUEUE_FULL = Kind("queue-full", HTTPStatus.TOO_MANY_REQUESTS, "The queue is full", "no", 1)
CONTEXTS_FULL = Kind(
    "contexts-full", HTTPStatus.TOO_MANY_REQUESTS, "No room for another context", "no", 1
)
RAISED = Kind("raised", HTTPStatus.INTERNAL_SERVER_ERROR, "The plugin raised", "yes")
START = Kind(
    "start", HTTPStatus.INTERNAL_SERVER_ERROR, "The plugin could not start in this context", "no"
)
RESULT = Kind(
    "result", HTTPStatus.INTERNAL_SERVER_ERROR, "The plugin's result cannot be sent", "yes"
)
DURABLE = Kind(
    "durable",
    HTTPStatus.INTERNAL_SERVER_ERROR,
    "The plugin's durable slots cannot be stored",
    "yes",
)
UNRESTORED = Kind("unrestored", HTTPStatus.GONE, "The stored state was refused", "no")
WORKER_DIED = Kind("worker-died", HTTPStatus.BAD_GATEWAY, "The plugin's worker died", "maybe")
WORKER_LOST = Kind(
    "worker-lost", HTTPStatus.BAD_GATEWAY, "The plugin's worker died before the call", "no", 1
)
DRAINING = Kind("draining", HTTPStatus.SERVICE_UNAVAILABLE, "This pod is going away", "no", 1)
NOT_LOADED = Kind("not-loaded", HTTPStatus.SERVICE_UNAVAILABLE, "The plugin is not loaded", "no", 1)
QUEUE_TIME = Kind("queue-time", HTTPStatus.SERVICE_UNAVAILABLE, "The call waited too long", "no", 1)
LATE = Kind("late", HTTPStatus.GATEWAY_TIMEOUT, "The call's time was over before it ran", "no")
TIMEOUT = Kind("timeout", HTTPStatus.GATEWAY_TIMEOUT, "The call took too long", "maybe")


class Problem(Exception):  # noqa: N818 - the name that RFC 9457 gives it
    """One error, told to one caller.

    Args:
        kind: What sort it is.
        detail: For a person; names what is wrong and the way out.
        more: Further members of the document, for example `argument`.

    """

    def __init__(self, kind: Kind, detail: str, **more: str | int) -> None:
        super().__init__(detail)
        self.kind = kind
        self.detail = detail[:MESSAGE_CHARACTERS]
        self.more = more

    def document(self) -> bytes:
        """Return the JSON document."""
        return msgspec.json.encode(
            {
                "type": TYPE_PREFIX + self.kind.slug,
                "title": self.kind.title,
                "status": int(self.kind.status),
                "detail": self.detail,
                "executed": self.kind.executed,
                **self.more,
            }
        )

    def headers(self) -> str:
        """Return the header lines that belong to it, each ended by CRLF."""
        after, allow = self.kind.retry_after, self.more.get("allow")
        lines = "" if after is None else f"Retry-After: {after}\r\n"
        return lines if allow is None else f"{lines}Allow: {allow}\r\n"


def kinds() -> tuple[Kind, ...]:
    """Return every kind there is, for documents and tests."""
    return tuple(value for value in globals().values() if isinstance(value, Kind))


EXECUTED: tuple[Executed, ...] = get_args(Executed)
