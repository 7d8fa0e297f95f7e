from __future__ import annotations

import pytest

from pluginsandbox.host.output import LINE_CHARACTERS, LINES_PER_SECOND, Bounded, Lines


class Sink:
    def __init__(self) -> None:
        self.lines: list[tuple[str, str]] = []

    def __call__(self, level: str, message: str) -> None:
        self.lines.append((level, message))


@pytest.fixture
def sink() -> Sink:
    return Sink()


def test_bytes_become_lines(sink: Sink) -> None:
    lines = Lines("<stdout>", "info", sink)
    assert lines.write(b"one\ntw") == 6
    lines.write(b"o\n\nthree")
    assert sink.lines == [("info", "one"), ("info", "two"), ("info", "")]
    lines.finish()
    lines.finish()
    assert sink.lines[3:] == [("info", "three")]


def test_what_is_no_utf_8_is_shown_anyway(sink: Sink) -> None:
    Lines("<stdout>", "info", sink).write(b"\xff\xfeab\n")
    assert sink.lines == [("info", "��ab")]


def test_a_line_without_end_does_not_grow(sink: Sink) -> None:
    lines = Lines("<stdout>", "info", sink)
    for _ in range(100):
        lines.write(b"x" * LINE_CHARACTERS)
    lines.finish()
    assert len(sink.lines[0][1]) == 4 * LINE_CHARACTERS


def test_a_long_line_is_cut(sink: Sink) -> None:
    Bounded(sink, clock=lambda: 0.0)("info", "x" * 100_000)
    ((_, message),) = sink.lines
    assert len(message) == LINE_CHARACTERS + len(" (cut)")


def test_too_many_lines_are_dropped_and_counted(sink: Sink) -> None:
    now = 1.0
    bounded = Bounded(sink, clock=lambda: now)
    for number in range(LINES_PER_SECOND + 7):
        bounded("info", str(number))
    assert len(sink.lines) == LINES_PER_SECOND
    now = 2.0
    bounded("info", "next")
    assert sink.lines[LINES_PER_SECOND:] == [
        ("warning", "7 lines were dropped: too many in one second"),
        ("info", "next"),
    ]


def test_what_was_dropped_is_told_at_the_end_of_a_call_but_once_a_second(sink: Sink) -> None:
    now = 1.0
    bounded = Bounded(sink, clock=lambda: now)
    for _ in range(3):
        for number in range(LINES_PER_SECOND):
            bounded("info", str(number))
        bounded.finish()
    assert [message for level, message in sink.lines if level == "warning"] == [
        f"{LINES_PER_SECOND} lines were dropped: too many in one second"
    ]
    now = 2.0
    bounded.finish()
    bounded.finish()
    assert sink.lines[-1] == sink.lines[LINES_PER_SECOND]
    assert len(sink.lines) == LINES_PER_SECOND + 2
