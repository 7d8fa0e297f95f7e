"""The chunked coding of a request's body, read strictly. Pure.

Bare line feeds, blanks around a size, sizes that are no plain hex digits: all of them have served
to smuggle requests past proxies. Extensions and trailers are read over, within bounds.
"""

from __future__ import annotations

import re

from pluginsandbox.host import problem as problems
from pluginsandbox.host.http_head import HEAD_BYTES, malformed
from pluginsandbox.host.problem import Problem

LINE_BYTES = 256
# A byte in a chunk of its own comes with five bytes of framing.
OVERHEAD_FACTOR = 8

_SIZE = re.compile(rb"([0-9A-Fa-f]{1,8})(?:;[\t\x20-\x7e\x80-\xff]*)?\r\n")
_TRAILER = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+:[\t\x20-\x7e\x80-\xff]*\r\n")
_END = b"\r\n"


class Chunked:
    """A chunked body on its way in.

    Args:
        limit: Largest body in bytes.

    """

    def __init__(self, limit: int) -> None:
        self.body = bytearray()
        self._limit = limit
        self._raw = 0
        self._line = b""
        self._left = 0
        """Bytes of the current chunk that are still to come."""
        self._expect = self._on_size

    def feed(self, data: bytes) -> int | None:
        """Take what came.

        Returns:
            How many bytes of `data` belong to the body's coding, if it ends in it; else None.

        Raises:
            Problem: The coding is broken, or the body is too large.

        """
        position, done = 0, False
        while position < len(data) and not done:
            if self._left:
                piece = data[position : position + self._left]
                self.body += piece
                self._left -= len(piece)
                position += len(piece)
            else:
                end = data.find(b"\n", position) + 1
                line = self._line + data[position : end or len(data)]
                self._check_line(line)
                self._line = b"" if end else line
                position = end or len(data)
                done = bool(end) and self._expect(line)
        self._check_overhead(position)
        return position if done else None

    def _check_line(self, line: bytes) -> None:
        longest = HEAD_BYTES if self._expect == self._on_trailer else LINE_BYTES
        if len(line) > longest:
            raise malformed("a line of the chunked coding is too long")

    def _check_overhead(self, more: int) -> None:
        self._raw += more
        if self._raw > OVERHEAD_FACTOR * len(self.body) + HEAD_BYTES:
            raise malformed("the chunked coding is larger than what it carries; use larger chunks")

    def _on_size(self, line: bytes) -> bool:
        match = _SIZE.fullmatch(line)
        if match is None:
            raise malformed("a chunk's size must be hex digits and CRLF")
        size = int(match[1], 16)
        if len(self.body) + size > self._limit:
            raise too_large(self._limit)
        self._left = size
        self._expect = self._on_chunk_end if size else self._on_trailer
        return False

    def _on_chunk_end(self, line: bytes) -> bool:
        if line != _END:
            raise malformed("a chunk must end with CRLF")
        self._expect = self._on_size
        return False

    def _on_trailer(self, line: bytes) -> bool:
        if line == _END:
            return True
        if _TRAILER.fullmatch(line) is None:
            raise malformed("a trailer must be: name, colon, value, CRLF")
        return False


def too_large(limit: int) -> Problem:
    """Return the answer to a body over its limit in bytes."""
    return Problem(problems.TOO_LARGE, f"the body must be at most {limit} bytes")
