"""Who does not hold the key is not heard, and what was heard once is not heard again."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pluginsandbox.host.peers import seal
from pluginsandbox.host.peers.members import Member
from pluginsandbox.host.peers.seal import ANY_INCARNATION, WINDOW, ForgedError, Sealer, Window

KEY, OTHER = b"k" * 32, b"o" * 32
A, B = Member("10.0.0.1", 7), Member("10.0.0.2", 9)
PATH = "/peers/v1/call"


class Clock:
    def __init__(self) -> None:
        self.now = 1_700_000_000.0

    def __call__(self) -> float:
        return self.now


def headers(text: str) -> dict[bytes, bytes]:
    lines = [line.partition(": ") for line in text.encode().decode().split("\r\n") if line]
    return {name.encode(): value.encode() for name, _, value in lines}


def sealed(sender: Sealer, body: bytes = b"x", to: Member = B) -> dict[bytes, bytes]:
    return headers(sender.headers(KEY, PATH, A, to, "view", body)[1])


def test_what_a_member_sealed_is_taken_once() -> None:
    clock = Clock()
    sender, receiver = Sealer(clock), Sealer(clock)
    message = sealed(sender)
    found = receiver.check([KEY], PATH, B, message)
    assert (found.sender, found.view) == (A, "view")
    assert seal.digest_matches(found, b"x")
    assert not seal.digest_matches(found, b"y")
    with pytest.raises(ForgedError, match="replay"):
        receiver.check([KEY], PATH, B, message)


@pytest.mark.parametrize(
    "header", [seal.TO, seal.SENDER, seal.VIEW, seal.TIME, seal.NUMBER, seal.DIGEST, seal.SIGNATURE]
)
def test_no_header_can_be_changed_or_left_out(header: str) -> None:
    clock = Clock()
    message = sealed(Sealer(clock))
    changed = message | {header.encode(): message[header.encode()][:-1] + b"0x"}
    absent = {name: value for name, value in message.items() if name != header.encode()}
    for forged in (changed, absent):
        with pytest.raises(ForgedError, match="signature"):
            Sealer(clock).check([KEY], PATH, B, forged)


def test_a_message_is_for_one_path_one_pod_and_one_process_of_it() -> None:
    clock = Clock()
    message = sealed(Sealer(clock))
    with pytest.raises(ForgedError, match="signature"):
        Sealer(clock).check([KEY], "/peers/v1/take", B, message)
    for other in (A, Member(B.address, B.incarnation + 1)):
        with pytest.raises(ForgedError, match="receiver"):
            Sealer(clock).check([KEY], PATH, other, message)
    anyone = sealed(Sealer(clock), to=Member(B.address, ANY_INCARNATION))
    assert Sealer(clock).check([KEY], PATH, B, anyone).to.incarnation == ANY_INCARNATION


@pytest.mark.parametrize("seconds", [-31, 31])
def test_an_old_message_or_one_from_the_future_is_refused(seconds: float) -> None:
    clock = Clock()
    message = sealed(Sealer(clock))
    clock.now += seconds
    with pytest.raises(ForgedError, match="time"):
        Sealer(clock).check([KEY], PATH, B, message)


def test_two_keys_verify_while_one_replaces_the_other() -> None:
    clock = Clock()
    message = sealed(Sealer(clock))
    assert Sealer(clock).check([OTHER, KEY], PATH, B, message).key == KEY
    with pytest.raises(ForgedError, match="signature"):
        Sealer(clock).check([OTHER], PATH, B, message)
    with pytest.raises(ForgedError, match="signature"):
        Sealer(clock).check([], PATH, B, message)


def test_an_answer_is_to_one_question_by_one_member_with_one_body() -> None:
    clock = Clock()
    sender = Sealer(clock)
    number, text = sender.headers(KEY, PATH, A, B, "view", b"x")
    found = Sealer(clock).check([KEY], PATH, B, headers(text))
    lines = seal.answer_headers(found, B, b"answer")
    told = {name.decode(): value.decode() for name, value in headers(lines).items()}
    assert seal.check_answer(KEY, number, told, b"answer") == B
    for key, asked, body in ((OTHER, number, b"answer"), (KEY, number + 1, b"answer")):
        with pytest.raises(ForgedError):
            seal.check_answer(key, asked, told, body)
    with pytest.raises(ForgedError):
        seal.check_answer(KEY, number, told, b"another")
    with pytest.raises(ForgedError):
        seal.check_answer(KEY, number, told | {seal.SENDER: str(A)}, b"answer")


@given(st.lists(st.integers(1, 3 * WINDOW), max_size=60))
def test_no_number_is_admitted_twice(numbers: list[int]) -> None:
    window = Window()
    admitted: set[int] = set()
    for number in numbers:
        fresh = window.admit(number)
        assert not (fresh and number in admitted)
        if number not in admitted and number > max(admitted, default=0) - WINDOW:
            assert fresh
        if fresh:
            admitted.add(number)
