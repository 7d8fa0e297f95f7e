"""The function of `plugin.Echo`, as a team would write it without a sandbox."""

from __future__ import annotations

from collections.abc import Callable

import msgspec


class Arguments(msgspec.Struct):
    text: str


_decode: Callable[[bytes], Arguments] = msgspec.json.Decoder(Arguments).decode
_encode = msgspec.json.Encoder().encode


def echo(text: str) -> str:
    return text


def answer(body: bytes) -> bytes:
    """JSON arguments in, JSON result out."""
    return _encode(echo(_decode(body).text))
