"""What a request's head must be for a door to take it: strict, so that nobody reads it differently.

llhttp (through httptools) parses without any of its lenient flags; what it lets pass and another
server on the way might read otherwise is refused here. Where a request ends is found out twice, by
the connection and by llhttp, and both must agree. Pure.
"""

from __future__ import annotations

from typing import Any

import httptools
import msgspec

from pluginsandbox.host import problem as problems
from pluginsandbox.host.problem import Problem

HEAD_BYTES = 16 << 10
"""Request line and headers together."""

# Headers of which two could be read as one or the other.
SINGLE = frozenset(
    {
        *(b"connection", b"content-encoding", b"content-length", b"content-type", b"expect"),
        *(b"host", b"traceparent", b"transfer-encoding"),
    }
)
CHUNKED = -1
LENGTH_DIGITS = 18


def malformed(detail: str) -> Problem:
    """Return the answer to a request that is not taken."""
    return Problem(problems.MALFORMED, detail)


class Head(msgspec.Struct):
    """A request up to its body."""

    method: bytes
    target: bytes
    headers: dict[bytes, bytes]
    """By name in lower case."""
    length: int
    """Bytes of the body, or `CHUNKED`."""
    keep_alive: bool
    route: object = None
    """What the door made of it."""

    @property
    def awaits_continue(self) -> bool:
        """Whether the client sends the body only once it is told to."""
        return b"expect" in self.headers


class Parser:
    """llhttp for one connection, fed with one whole request at a time."""

    def __init__(self) -> None:
        self._headers: dict[bytes, bytes] = {}
        # Takes a header without a call of Python; of two with one name the last is kept.
        self.on_header = self._headers.__setitem__
        self._parser: Any = httptools.HttpRequestParser(self)
        self._url = b""
        self._in_body = False
        self._complete = False
        self._body_bytes = 0

    def close(self) -> None:
        """Let go of llhttp's parser, which has hold of this one: no cycle is left to collect."""
        self._parser = None

    # --- llhttp calls back -----------------------------------------------------------------------

    def on_url(self, url: bytes) -> None:
        """Take the target."""
        self._url = url

    def on_headers_complete(self) -> None:
        """Note that what follows is body."""
        self._in_body = True

    def on_body(self, body: bytes) -> None:
        """Count a piece of the body."""
        self._body_bytes += len(body)

    def on_message_complete(self) -> None:
        """Note the end."""
        self._complete = True

    # --- the connection calls --------------------------------------------------------------------

    def head(self, block: bytes) -> Head:
        """Read a head.

        Args:
            block: From the first byte to the empty line, that included.

        Raises:
            Problem: It is not one that we take.

        """
        self._headers.clear()
        self._body_bytes = 0
        self._in_body = self._complete = False
        self._feed(block)
        if not self._in_body:
            raise malformed("the request's head has no end where an empty line is")
        url, method = self._url, self._parser.get_method()
        current = block.startswith(b"%b %b HTTP/1.1\r\n" % (method, url))
        if not current and not block.startswith(b"%b %b HTTP/1.0\r\n" % (method, url)):
            raise malformed("the request line must be: METHOD, space, path, space, HTTP/1.1")
        if url[:1] != b"/":
            raise malformed("the request's target must be a path")
        # llhttp leaves the blanks behind a value, which are no part of it.
        headers = {name.lower(): value.rstrip(b" \t") for name, value in self._headers.items()}
        if block.count(b"\r\n") != len(headers) + 2:  # the request line, the empty line
            _check_repeated(block)
        length = _length(headers, current=current)
        if self._complete != (length == 0):
            raise malformed("it is not clear where the request's body ends")
        kept = current and b"close" not in headers.get(b"connection", b"").lower()
        return Head(method, url, headers, length, kept)

    def finish(self, rest: bytes) -> int:
        """Check that a request ends just where the connection says that it does.

        Args:
            rest: All behind the head.

        Returns:
            Bytes of the body, as llhttp counts.

        Raises:
            Problem: It does not.

        """
        if rest:
            self._feed(rest)
        if not self._complete:
            raise malformed("the request's body ends too early")
        return self._body_bytes

    def _feed(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            raise malformed("Upgrade and CONNECT are not served") from None
        except httptools.HttpParserError as error:
            raise malformed(f"the request is not HTTP/1.1: {error}") from None


def _check_repeated(block: bytes) -> None:
    """Refuse a head in which a header comes twice that could be read as one or the other."""
    seen = set()
    for line in block.split(b"\r\n")[1:-2]:
        if line[:1] in b" \t":
            raise malformed("a header must be one line")
        name = line.partition(b":")[0]
        key = name.lower()
        if key in seen and (key in SINGLE or key.startswith(b"sandbox-")):
            raise malformed(f"header {name.decode('latin-1')} must come once")
        seen.add(key)


def _length(headers: dict[bytes, bytes], *, current: bool) -> int:
    """Return the bytes of the body, or `CHUNKED`; check what else makes a head ambiguous.

    Args:
        headers: By name in lower case.
        current: HTTP/1.1 rather than 1.0.

    """
    if current and b"host" not in headers:
        raise malformed("header Host is missing")
    if b"upgrade" in headers:
        raise malformed("Upgrade is not served")
    expect = headers.get(b"expect")
    if expect is not None and expect.lower() != b"100-continue":
        raise Problem(problems.EXPECTATION, "Expect must be 100-continue")
    encoding, length = headers.get(b"transfer-encoding"), headers.get(b"content-length")
    if encoding is not None:
        if length is not None:
            raise malformed("Content-Length and Transfer-Encoding must not come together")
        if encoding.lower() != b"chunked" or not current:
            raise malformed("Transfer-Encoding must be chunked, and HTTP be 1.1")
        return CHUNKED
    if length is None:
        return 0
    if not length.isdigit() or len(length) > LENGTH_DIGITS:
        raise malformed("Content-Length must be a decimal number")
    return int(length)
