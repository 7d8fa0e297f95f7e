"""Requests that two servers might read differently are refused; the others are read as h11 does."""

from __future__ import annotations

import re

import h11
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.unit.host.wire import BODY_BYTES, Wire

HOST = b"Host: a\r\n"


def post(*lines: bytes, body: bytes = b"") -> bytes:
    return (
        b"POST /x HTTP/1.1\r\n" + HOST + b"".join(line + b"\r\n" for line in lines) + b"\r\n" + body
    )


def chunked(body: bytes) -> bytes:
    return post(b"Transfer-Encoding: chunked", body=body)


GOOD = {
    "no body": post(),
    "length": post(b"Content-Length: 3", body=b"abc"),
    "length with zeros": post(b"Content-Length: 003", body=b"abc"),
    "chunked": chunked(b"3\r\nabc\r\n0\r\n\r\n"),
    "several chunks": chunked(b"1\r\na\r\n2\r\nbc\r\n0\r\n\r\n"),
    "capital hex": chunked(b"A\r\n0123456789\r\n0\r\n\r\n"),
    "leading zeros of a size": chunked(b"0003\r\nabc\r\n000\r\n\r\n"),
    "chunk extension": chunked(b"3;name=value\r\nabc\r\n0\r\n\r\n"),
    "trailer": chunked(b"3\r\nabc\r\n0\r\nX-Sum: 1\r\n\r\n"),
    "chunked in capitals": post(b"Transfer-Encoding: CHUNKED", body=b"0\r\n\r\n"),
    "HTTP/1.0": b"GET /x HTTP/1.0\r\n\r\n",
    "high bytes in a value": post(b"X: \xe4"),
    "blanks around a value": post(b"X:  a b \t"),
    "empty value": post(b"X:"),
}

BAD = {
    "length with chunked": post(
        b"Content-Length: 3", b"Transfer-Encoding: chunked", body=b"0\r\n\r\n"
    ),
    "chunked with length": post(
        b"Transfer-Encoding: chunked", b"Content-Length: 3", body=b"0\r\n\r\n"
    ),
    "two lengths": post(b"Content-Length: 3", b"Content-Length: 4", body=b"abc"),
    "two equal lengths": post(b"Content-Length: 3", b"Content-Length: 3", body=b"abc"),
    "list of lengths": post(b"Content-Length: 3, 3", body=b"abc"),
    "signed length": post(b"Content-Length: +3", body=b"abc"),
    "negative length": post(b"Content-Length: -3", body=b"abc"),
    "hex length": post(b"Content-Length: 0x3", body=b"abc"),
    "empty length": post(b"Content-Length:", body=b"abc"),
    "length with a blank in it": post(b"Content-Length: 3 3", body=b"abc"),
    "length beyond 64 bits": post(b"Content-Length: 99999999999999999999", body=b"abc"),
    "length of 19 digits": post(b"Content-Length: 1000000000000000000", body=b"abc"),
    "two hosts": post(b"Host: b"),
    "no host": b"GET /x HTTP/1.1\r\n\r\n",
    "two contexts": post(b"Sandbox-Context: a", b"Sandbox-Context: b"),
    "two contexts in other letters": post(b"Sandbox-Context: a", b"SANDBOX-CONTEXT: b"),
    "two encodings": post(
        b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked", body=b"0\r\n\r\n"
    ),
    "identity": post(b"Transfer-Encoding: identity"),
    "gzip before chunked": post(b"Transfer-Encoding: gzip, chunked", body=b"0\r\n\r\n"),
    "chunked before identity": post(b"Transfer-Encoding: chunked, identity", body=b"0\r\n\r\n"),
    "chunked twice in a list": post(b"Transfer-Encoding: chunked, chunked", body=b"0\r\n\r\n"),
    "misspelt chunked": post(b"Transfer-Encoding: xchunked", body=b"0\r\n\r\n"),
    "quoted chunked": post(b'Transfer-Encoding: "chunked"', body=b"0\r\n\r\n"),
    "vertical tab before chunked": post(b"Transfer-Encoding: \x0bchunked", body=b"0\r\n\r\n"),
    "chunked in HTTP/1.0": b"POST /x HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "obs-fold": post(b"X: a\r\n b"),
    "obs-fold with a tab": post(b"X: a\r\n\tb"),
    "obs-fold of an encoding": post(b"Transfer-Encoding:\r\n chunked", body=b"0\r\n\r\n"),
    "blank before the first header": b"GET /x HTTP/1.1\r\n Host: a\r\n\r\n",
    "blank before the colon": post(b"Content-Length : 3", body=b"abc"),
    "no colon": post(b"Content-Length 3", body=b"abc"),
    "no name": post(b": 3"),
    "NUL in a name": post(b"Content\x00-Length: 3", body=b"abc"),
    "NUL in a value": post(b"X: a\x00b"),
    "control byte in a value": post(b"X: a\x01b"),
    "bare CR in a value": post(b"X: a\rb"),
    "bare CR ends a header": b"GET /x HTTP/1.1\r\nHost: a\rX: b\r\n\r\n",
    "bare LF ends a header": b"GET /x HTTP/1.1\r\nHost: a\nX: b\r\n\r\n",
    "bare LF ends the request line": b"GET /x HTTP/1.1\nHost: a\r\n\r\n",
    "upgrade": post(b"Upgrade: h2c", b"Connection: Upgrade"),
    "upgrade without connection": post(b"Upgrade: websocket"),
    "CONNECT": b"CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n",
    "HTTP/2 preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "HTTP/2.0": b"GET /x HTTP/2.0\r\nHost: a\r\n\r\n",
    "HTTP/1.2": b"GET /x HTTP/1.2\r\nHost: a\r\n\r\n",
    "HTTP/0.9": b"GET /x\r\n\r\n",
    "lower-case method": b"get /x HTTP/1.1\r\nHost: a\r\n\r\n",
    "lower-case version": b"GET /x http/1.1\r\nHost: a\r\n\r\n",
    "two blanks before the target": b"GET  /x HTTP/1.1\r\nHost: a\r\n\r\n",
    "two blanks before the version": b"GET /x  HTTP/1.1\r\nHost: a\r\n\r\n",
    "tab before the target": b"GET\t/x HTTP/1.1\r\nHost: a\r\n\r\n",
    "blank behind the version": b"GET /x HTTP/1.1 \r\nHost: a\r\n\r\n",
    "empty line first": b"\r\nGET /x HTTP/1.1\r\nHost: a\r\n\r\n",
    "absolute target": b"GET http://b/x HTTP/1.1\r\nHost: a\r\n\r\n",
    "asterisk target": b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n",
    "target with a control byte": b"GET /\x01 HTTP/1.1\r\nHost: a\r\n\r\n",
    "target with a high byte": b"GET /\xe4 HTTP/1.1\r\nHost: a\r\n\r\n",
    "no target": b"GET HTTP/1.1\r\nHost: a\r\n\r\n",
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
    "chunk size with 0x": chunked(b"0x3\r\nabc\r\n0\r\n\r\n"),
    "chunk size with a sign": chunked(b"+3\r\nabc\r\n0\r\n\r\n"),
    "chunk size with a blank": chunked(b"3 \r\nabc\r\n0\r\n\r\n"),
    "chunk size with a blank before it": chunked(b" 3\r\nabc\r\n0\r\n\r\n"),
    "chunk size with an underscore": chunked(b"0_3\r\nabc\r\n0\r\n\r\n"),
    "chunk size of nine digits": chunked(b"000000003\r\nabc\r\n0\r\n\r\n"),
    "chunk size beyond 64 bits": chunked(b"10000000000000003\r\nabc\r\n0\r\n\r\n"),
    "no chunk size": chunked(b"\r\nabc\r\n0\r\n\r\n"),
    "bare LF behind a size": chunked(b"3\nabc\r\n0\r\n\r\n"),
    "bare LF behind a chunk": chunked(b"3\r\nabc\n0\r\n\r\n"),
    "bare CR behind a size": chunked(b"3\rabc\r\n0\r\n\r\n"),
    "bare LF in an extension": chunked(b"3;a\nabc\r\n0\r\n\r\n"),
    "bare CR in an extension": chunked(b"3;a\rb\r\nabc\r\n0\r\n\r\n"),
    "NUL in an extension": chunked(b"3;\x00\r\nabc\r\n0\r\n\r\n"),
    "chunk longer than its size": chunked(b"3\r\nabcd\r\n0\r\n\r\n"),
    "bare LF ends the trailers": chunked(b"3\r\nabc\r\n0\r\n\n"),
    "bare LF in a trailer": chunked(b"0\r\nX: 1\n\r\n"),
    "trailer folded": chunked(b"0\r\nX: 1\r\n 2\r\n\r\n"),
    "trailer without colon": chunked(b"0\r\nX\r\n\r\n"),
    "chunk extension without end": chunked(b"3;" + b"a" * 300 + b"\r\nabc\r\n0\r\n\r\n"),
    "chunks of next to nothing": chunked(b"1;" + b"a" * 200 + b"\r\nx\r\n") * 1
    + (b"1;" + b"a" * 200 + b"\r\nx\r\n") * 200,
    "head too large": post(b"X: " + b"a" * (16 << 10)),
    "head too large and without end": b"GET /x HTTP/1.1\r\nX: " + b"a" * (17 << 10),
    "body too large": post(b"Content-Length: %d" % (BODY_BYTES + 1), body=b"a" * (BODY_BYTES + 1)),
    "body too large and announced only": post(b"Content-Length: 1000000000"),
    "chunks too large together": chunked(b"1f4\r\n" + b"a" * 500 + b"\r\n") * 1
    + b"1f5\r\n"
    + b"a" * 501
    + b"\r\n0\r\n\r\n",
    "chunk too large and announced only": chunked(b"ffffffff\r\n"),
    "another expectation": post(b"Expect: 200-ok"),
}
# Refused by the door's own rules; h11 reads them, and reads them as one request.
STRICTER_THAN_H11 = {
    *("two equal lengths", "list of lengths", "two contexts", "two contexts in other letters"),
    *("upgrade", "upgrade without connection", "CONNECT", "absolute target", "asterisk target"),
    *("obs-fold", "obs-fold with a tab", "obs-fold of an encoding", "lower-case method"),
    *("bare LF ends a header", "bare LF ends the request line", "empty line first"),
    *("chunk extension without end", "chunks of next to nothing", "head too large"),
    *("body too large", "chunks too large together", "another expectation", "length of 19 digits"),
    *("chunk size of nine digits", "chunk size with a blank", "trailer folded", "HTTP/1.2"),
    *("bare LF in a trailer", "bare LF ends the trailers", "body too large and announced only"),
    *("chunk too large and announced only", "HTTP/2.0", "HTTP/2 preface", "bare LF behind a size"),
    *("length with chunked", "chunked with length", "chunked in HTTP/1.0", "HTTP/0.9"),
    *("two encodings", "control byte in a value", "bare LF in an extension"),
    *("NUL in an extension", "bare CR in an extension", "head too large and without end"),
    *("target with a high byte", "blank before the colon"),
}


def read_by_h11(data: bytes) -> list[tuple[bytes, bytes, bytes]] | None:
    """Return method, target and body of each whole request; None if h11 refuses one."""
    server = h11.Connection(h11.SERVER, max_incomplete_event_size=16 << 10)
    server.receive_data(data)
    found, body = [], b""
    request: h11.Request | None = None
    try:
        while True:
            event = server.next_event()
            if isinstance(event, h11.Request):
                request, body = event, b""
            elif isinstance(event, h11.Data):
                body += bytes(event.data)
            elif isinstance(event, h11.EndOfMessage):
                assert request is not None
                found.append((request.method, request.target, body))
                server.send(h11.Response(status_code=200, headers=[("Content-Length", "0")]))
                server.send(h11.EndOfMessage())
                if server.their_state is not h11.DONE:
                    return found
                server.start_next_cycle()
            else:
                return found
    except h11.RemoteProtocolError:
        return None


@pytest.mark.parametrize("piece", [0, 1, 7])
@pytest.mark.parametrize("name", GOOD)
def test_what_is_clear_is_read_as_h11_reads_it(name: str, piece: int) -> None:
    wire = Wire()
    wire.send(GOOD[name], piece)
    assert wire.statuses() == [200]
    seen = [(seen.method, seen.target, seen.body) for seen in wire.door.seen]
    assert seen == read_by_h11(GOOD[name])


@pytest.mark.parametrize("piece", [0, 1, 7])
@pytest.mark.parametrize("name", BAD)
def test_what_is_not_clear_is_refused_and_nothing_behind_it_is_read(name: str, piece: int) -> None:
    wire = Wire()
    wire.send(BAD[name] + b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n", piece)
    assert wire.door.seen == []
    assert [code for code in wire.statuses() if code < 400] == []
    assert b"smuggled" not in b"".join(seen.target for seen in wire.door.seen)
    if wire.statuses():
        assert len(wire.statuses()) == 1
        assert wire.transport.ended


@pytest.mark.parametrize("name", sorted(set(BAD) - STRICTER_THAN_H11))
def test_h11_refuses_it_too(name: str) -> None:
    assert not read_by_h11(BAD[name])


def test_the_list_of_stricter_rules_names_only_what_is_refused() -> None:
    assert set(BAD) >= STRICTER_THAN_H11


LINES = st.sampled_from(
    [
        *(b"Host: a", b"Content-Length: 3", b"Content-Length: 0", b"Transfer-Encoding: chunked"),
        *(b"Transfer-Encoding: identity", b"Sandbox-Context: a", b"X: y", b" folded", b"\tfolded"),
        *(b"Content-Length : 3", b"content-length: 2", b"Upgrade: x", b"Connection: close"),
        *(b"X: a\rb", b"X: a\x00", b"Content-Length: 3\rX: y", b"Expect: 100-continue", b""),
    ]
)
ENDS = st.sampled_from([b"\r\n", b"\r\n", b"\r\n", b"\n", b"\r"])
BODIES = st.sampled_from(
    [b"", b"abc", b"0\r\n\r\n", b"3\r\nabc\r\n0\r\n\r\n", b"3\nabc\n0\n\n", b"3\r\nabc", b"3;x\r\n"]
)


@st.composite
def streams(draw: st.DrawFn) -> bytes:
    data = b""
    for _ in range(draw(st.integers(1, 3))):
        data += draw(st.sampled_from([b"POST /x HTTP/1.1", b"GET /y HTTP/1.1", b"GET /z HTTP/1.0"]))
        data += draw(ENDS)
        for line in draw(st.lists(LINES, max_size=5)):
            data += line + draw(ENDS)
        data += draw(ENDS) + draw(BODIES)
    return data


@settings(max_examples=400, deadline=None)
@given(streams(), st.integers(0, 9))
@example(chunked(b"3\r\nabc\r\n0\r\n\r\n") + post(b"Content-Length: 3", body=b"abc"), 1)
def test_whatever_is_taken_is_what_h11_takes(data: bytes, piece: int) -> None:
    wire = Wire()
    wire.send(data, piece)
    taken = [(seen.method, seen.target, seen.body) for seen in wire.door.seen]
    for length in range(len(data), -1, -1):
        theirs = read_by_h11(data[:length])
        if theirs is not None:
            break
    assert theirs is not None
    assert taken == theirs[: len(taken)]
    assert all(code in {200, 400, 413, 417} for code in wire.statuses())


@settings(max_examples=300, deadline=None)
@given(streams(), streams(), st.integers(0, 9))
@example(post() * 2, b"GET /x HTTP/1.0\r\n\r\n" + post(), 0)
@example(post(b"Content-Length: 3", body=b"abc"), post(b"Content-Length: 3", body=b"ab"), 1)
def test_what_is_taken_does_not_depend_on_what_was_read_before(
    before: bytes, data: bytes, piece: int
) -> None:
    first, fresh = Wire(), Wire()
    fresh.listener.date = first.listener.date  # the second may have turned between them
    first.send(before + data)
    first.send(data)
    again = Wire(listener=first.listener)
    again.send(data, piece)
    fresh.send(data, piece)
    assert again.door.seen == fresh.door.seen
    assert again.transport.written == fresh.transport.written
    assert again.transport.closed == fresh.transport.closed


@settings(max_examples=500, deadline=None)
@given(st.binary(max_size=400), st.integers(0, 40))
def test_bytes_of_any_kind_end_in_an_answer_or_in_waiting(data: bytes, piece: int) -> None:
    wire = Wire()
    wire.send(post(b"Transfer-Encoding: chunked") + data, piece)
    wire.wait(11)
    assert wire.statuses() or wire.transport.closed


def test_a_pipeline_in_one_packet_is_answered_in_order() -> None:
    wire = Wire()
    names = [b"/%d" % number for number in range(50)]
    wire.send(b"".join(b"GET %s HTTP/1.1\r\nHost: a\r\n\r\n" % name for name in names))
    assert [seen.target for seen in wire.door.seen] == names
    assert wire.statuses() == [200] * 50


def test_every_refusal_tells_in_words_what_must_be() -> None:
    for name, data in BAD.items():
        wire = Wire()
        wire.send(data)
        documents = re.findall(rb'"detail":"([^"]+)', wire.transport.written)
        assert all(len(detail) > 10 for detail in documents), name
