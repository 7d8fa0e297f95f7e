"""A door remembers the heads that come again, and no others."""

from __future__ import annotations

import pytest

from pluginsandbox.host.http_head import Parser
from pluginsandbox.host.http_known import HEADS, LARGEST_BYTES, KnownHeads


def head(*lines: str) -> bytes:
    return "\r\n".join(("POST /x HTTP/1.1", "Host: a", *lines, "", "")).encode()


def kept(block: bytes) -> bool:
    known = KnownHeads()
    known.keep(block, Parser().head(block))
    return known.get(block) is not None


def test_a_head_of_ordinary_headers_is_kept_with_its_context() -> None:
    assert kept(head("Sandbox-Context: a", "content-length: 3", "User-Agent: me"))


@pytest.mark.parametrize(
    "line",
    [
        "Authorization: Bearer secret",
        "Cookie: a=b",
        "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "X-Anything: 1",
        "Transfer-Encoding: chunked",
        "Expect: 100-continue",
        f"User-Agent: {'m' * LARGEST_BYTES}",
    ],
)
def test_what_is_secret_or_does_not_come_again_is_not_kept(line: str) -> None:
    assert not kept(head(line))


def test_what_is_kept_is_bounded() -> None:
    known = KnownHeads()
    for number in range(3 * HEADS):
        block = head(f"Sandbox-Context: {number}")
        known.keep(block, Parser().head(block))
    assert len(known._heads) <= HEADS
