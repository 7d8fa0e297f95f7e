"""HTTP to a sandbox: connections that are kept, from any thread."""

from __future__ import annotations

import http.client
import select
import time
import urllib.parse
from collections import deque
from collections.abc import Mapping
from typing import NamedTuple

from pluginsandbox.sdk.client_errors import TryAgainError, UncertainError

# Below the 75 s after which the sandbox closes a connection that nobody uses.
_KEEP_SECONDS = 60.0


class Answer(NamedTuple):
    """What came back."""

    status: int
    headers: dict[str, str]
    """By name in lower case."""
    body: bytes


class Transport:
    """Sends requests to one sandbox.

    Args:
        url: Where it serves, such as `http://shop.default.svc:8080`.
        timeout_seconds: How long to wait for a connection, and for an answer.

    Raises:
        ValueError: The URL is not one of HTTP.

    """

    def __init__(self, url: str, timeout_seconds: float) -> None:
        parts = urllib.parse.urlsplit(url)
        if parts.scheme != "http" or not parts.hostname:
            raise ValueError(f"url {url!r} must look like http://shop.default.svc:8080")
        self._host, self._port = parts.hostname, parts.port or 80
        self._prefix = parts.path.rstrip("/")
        self._timeout = timeout_seconds
        self._idle: deque[tuple[float, http.client.HTTPConnection]] = deque()
        """Since when, and what; both ends of a deque are safe for threads."""

    def send(
        self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] = {}
    ) -> Answer:
        """Send a request and wait for its answer.

        Raises:
            TryAgainError: The sandbox cannot be reached; it got nothing.
            UncertainError: The connection ended, or the time was over, before the answer came.

        """
        connection = self._connection()
        try:
            connection.request(method, self._prefix + path, body, dict(headers))
            response = connection.getresponse()
            told = {name.lower(): value for name, value in response.getheaders()}
            answer = Answer(response.status, told, response.read())
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            raise UncertainError(f"no answer came: {error or type(error).__name__}") from error
        except BaseException:
            connection.close()
            raise
        if connection.sock is not None:
            self._idle.append((time.monotonic(), connection))
        return answer

    def close(self) -> None:
        """Close the connections that nobody uses now."""
        while self._idle:
            self._idle.pop()[1].close()

    def _connection(self) -> http.client.HTTPConnection:
        while self._idle:
            try:
                since, connection = self._idle.pop()
            except IndexError:  # another thread was faster
                break
            if time.monotonic() - since < _KEEP_SECONDS and not _ended(connection):
                return connection
            connection.close()
        connection = http.client.HTTPConnection(self._host, self._port, timeout=self._timeout)
        try:
            connection.connect()
        except OSError as error:
            raise TryAgainError(f"cannot reach {self._host}:{self._port}: {error}") from error
        return connection


def _ended(connection: http.client.HTTPConnection) -> bool:
    """Whether the other end closed a connection on which nothing is awaited."""
    poll = select.poll()
    poll.register(connection.sock, select.POLLIN)
    return bool(poll.poll(0))
