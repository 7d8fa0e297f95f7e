"""A connection's bounds in time and size, and what it does for clients that behave."""

from __future__ import annotations

import pytest

from pluginsandbox.host import http_protocol
from pluginsandbox.host.http_protocol import (
    AHEAD_BYTES,
    KEEP_ALIVE_SECONDS,
    LINGER_SECONDS,
    RECEIVE_SECONDS,
    SEND_SECONDS,
)
from tests.unit.host.wire import Wire

GET = b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n"
POST = b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n"


def test_a_slow_head_is_answered_408_and_closed() -> None:
    wire = Wire()
    wire.send(GET[:10])
    wire.wait(RECEIVE_SECONDS - 0.1)
    assert not wire.transport.ended
    wire.send(GET[10:12])
    wire.wait(0.2)
    assert wire.statuses() == [408]
    assert wire.transport.ended


def test_a_slow_body_is_answered_408_and_closed() -> None:
    wire = Wire()
    wire.send(POST + b"ab")
    wire.wait(RECEIVE_SECONDS + 0.1)
    assert wire.statuses() == [408]
    wire.wait(LINGER_SECONDS + 0.1)
    assert wire.transport.aborted


def test_a_client_that_says_nothing_is_closed_without_a_word() -> None:
    wire = Wire()
    wire.wait(RECEIVE_SECONDS + 0.1)
    assert wire.transport.closed
    assert not wire.transport.written


def test_an_idle_connection_is_kept() -> None:
    wire = Wire()
    wire.send(GET)
    wire.wait(KEEP_ALIVE_SECONDS - 1)
    wire.send(GET)
    wire.wait(KEEP_ALIVE_SECONDS - 1)
    assert not wire.transport.closed
    assert wire.statuses() == [200, 200]


def test_an_idle_connection_is_closed_in_the_end() -> None:
    wire = Wire()
    wire.send(GET)
    wire.wait(KEEP_ALIVE_SECONDS + 1)
    assert wire.transport.closed


def test_time_for_the_answer_is_the_handlers_alone() -> None:
    wire = Wire(later=True)
    wire.send(GET)
    wire.wait(1000)
    assert not wire.transport.closed
    wire.connection.respond(200, "", b"")
    assert wire.statuses() == [200]


def test_requests_behind_one_that_waits_are_taken_when_it_is_answered() -> None:
    wire = Wire(later=True)
    wire.send(GET + POST + b"abc")
    assert len(wire.door.seen) == 1
    wire.connection.respond(200, "", b"first")
    assert [seen.body for seen in wire.door.seen] == [b"", b"abc"]
    wire.connection.respond(200, "", b"second")
    assert wire.statuses() == [200, 200]


def test_a_client_that_sends_far_ahead_is_not_read() -> None:
    wire = Wire(later=True)
    wire.send(GET)
    wire.send(GET * (AHEAD_BYTES // len(GET) + 2))
    assert not wire.transport.reading
    wire.connection.respond(200, "", b"")
    assert wire.transport.reading


def test_a_client_that_does_not_read_gets_no_more_answers_and_is_ended() -> None:
    wire = Wire()
    wire.connection.pause_writing()
    wire.send(GET)
    assert wire.door.seen == []
    wire.wait(SEND_SECONDS + 0.1)
    assert wire.transport.aborted


def test_a_client_that_reads_again_goes_on() -> None:
    wire = Wire()
    wire.connection.pause_writing()
    wire.send(GET)
    wire.connection.resume_writing()
    assert wire.statuses() == [200]


def test_a_client_that_hangs_up_is_told_to_the_handler() -> None:
    wire = Wire(later=True)
    wire.send(GET)
    wire.connection.connection_lost(None)
    assert wire.door.hung_up == 1
    wire.connection.respond(200, "", b"too late")
    assert not wire.transport.written


def test_a_half_closed_client_still_gets_its_answer() -> None:
    wire = Wire(later=True)
    wire.send(GET)
    assert wire.connection.eof_received()
    wire.connection.respond(200, "", b"")
    assert wire.statuses() == [200]
    assert wire.transport.closed


@pytest.mark.parametrize("version", [b"HTTP/1.0\r\n", b"HTTP/1.1\r\nConnection: close\r\n"])
def test_a_client_that_wants_one_answer_gets_one(version: bytes) -> None:
    wire = Wire()
    wire.send(b"GET /x " + version + b"Host: a\r\n\r\n")
    assert wire.transport.closed
    assert b"Connection: close" in wire.transport.written


def test_a_client_that_asks_before_it_sends_is_told_to_go_on() -> None:
    wire = Wire()
    wire.send(POST.replace(b"Host", b"Expect: 100-continue\r\nHost"))
    assert wire.transport.written == b"HTTP/1.1 100 Continue\r\n\r\n"
    wire.send(b"abc")
    assert wire.door.seen[0].body == b"abc"


def test_answers_say_that_they_are_the_last_while_draining() -> None:
    wire = Wire()
    wire.listener.draining = True
    wire.send(GET)
    assert wire.transport.closed
    assert b"Connection: close" in wire.transport.written


def test_closing_ends_idle_connections_and_lets_busy_ones_finish() -> None:
    idle, busy = Wire(), Wire(later=True)
    busy.send(GET)
    for wire in (idle, busy):
        wire.listener.close()
    assert idle.transport.closed
    assert not busy.transport.closed
    busy.connection.respond(200, "", b"")
    assert busy.statuses() == [200]
    assert busy.transport.closed


def test_one_connection_too_many_is_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    wire = Wire()
    monkeypatch.setattr(http_protocol, "MAX_CONNECTIONS", 1)
    transport = type(wire.transport)()
    wire.listener().connection_made(transport)
    assert transport.aborted


def test_large_answers_arrive_whole() -> None:
    wire = Wire(later=True)
    wire.send(GET)
    wire.connection.respond(200, "", b"x" * 100_000)
    assert wire.transport.written.endswith(b"\r\n\r\n" + b"x" * 100_000)


def test_bodies_that_come_slowly_on_many_connections_are_bounded_together() -> None:
    first = Wire(room=2500)
    wires = [first, *(Wire(listener=first.listener) for _ in range(2))]
    begun = b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n" + b"a" * 900
    for wire in wires:
        wire.send(begun)
    assert [wire.statuses() for wire in wires] == [[], [], [429]]
    # What is over gives its room back, however it ended.
    wires[0].send(b"a" * 100)
    assert wires[0].statuses() == [200]
    wires[1].connection.connection_lost(None)
    later = Wire(listener=first.listener)
    later.send(begun + b"a" * 100)
    assert later.statuses() == [200]
    assert first.listener.room.left == 2500
