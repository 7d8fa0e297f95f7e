"""The books of the load: each kind of wrong answer is noticed, and right ones are not."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.bed.tally import Ledger

Answer = tuple[str, int, str]


def books(*answers: Answer | str, alive: tuple[str, ...] = ("p1",)) -> dict[str, int]:
    """Return what is wrong with the answers of one context, a failure being a text."""
    ledger = Ledger()
    for each in answers:
        if isinstance(each, str):
            ledger.fail("c", each)
        else:
            ledger.take("c", *each)
    ledger.close(set(alive))
    found = ledger.books()
    return {name: found[name] for name in ("failed", "lost", "twice") if found[name]}


def state(token: str, process: str) -> Callable[[int], Answer]:
    return lambda count: (token, count, process)


A, B = state("a", "p0"), state("b", "p1")


@pytest.mark.parametrize(
    ("answers", "wrong"),
    [
        ((A(1), A(2), A(3)), {}),
        ((A(1), A(2), B(1), B(2)), {}),
        ((A(1), ("a", 2, "p1"), ("a", 3, "p1")), {}),  # durable state that moved
        ((A(1), A(2), A(2)), {"lost": 1}),
        ((A(1), A(2), A(1)), {"lost": 1}),
        ((A(1), A(3)), {"twice": 1}),
        ((A(1), B(1), A(2)), {"twice": 1}),
        ((A(1), B(2)), {"twice": 1}),
        ((A(1), "503", A(2)), {"failed": 1}),
        ((A(1), "504", A(3)), {"failed": 1}),  # it may have been carried out
        ((A(1), "504", A(4)), {"failed": 1, "twice": 1}),
    ],
)
def test_the_books_tell_right_from_wrong(
    answers: tuple[Answer | str, ...], wrong: dict[str, int]
) -> None:
    assert books(*answers) == wrong


def test_a_durable_state_that_ends_at_all_is_lost() -> None:
    ledger = Ledger()
    ledger.take("keep-1", *A(1))
    ledger.take("keep-1", *B(1))
    assert (ledger.lost, ledger.twice) == (1, 0)


def test_a_state_that_ends_while_its_process_lives_is_lost() -> None:
    assert books(A(1), B(1), alive=("p0", "p1")) == {"lost": 1}
