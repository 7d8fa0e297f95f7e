"""What `pluginsandbox decisions` draws."""

from __future__ import annotations

from pluginsandbox.autoscaler.sketch import HEIGHT, NEEDED, PODS, WIDTH, Step, draw

BEGIN = 1_800_000_000


def test_a_step_is_as_high_as_the_pods_and_begins_where_it_was_made() -> None:
    lines = draw([Step(BEGIN, 12, 12), Step(BEGIN + 10, 86, 86), Step(BEGIN + 20, 86, 86)])
    rows = [line.partition("|")[2] for line in lines.splitlines()[:HEIGHT]]
    assert all(len(row) == WIDTH for row in rows)
    assert rows[0].index(PODS) in range(WIDTH // 2 - 1, WIDTH // 2 + 2)
    assert rows[0].endswith(PODS)
    assert rows[-1] == PODS * WIDTH
    assert "86 |" in lines
    assert "2027-01-15T08:00:00Z" in lines


def test_what_was_needed_beyond_the_pods_is_seen() -> None:
    rows = draw([Step(BEGIN, 10, 20)]).splitlines()
    assert NEEDED in rows[0]
    assert PODS not in rows[0]
    assert PODS in rows[HEIGHT - 1]


def test_a_number_that_was_not_known_draws_nothing() -> None:
    assert NEEDED not in draw([Step(BEGIN, 3, None)]).rpartition("\n")[0]
