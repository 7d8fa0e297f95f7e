"""What calls that wait mean, and how many pods a second asks for."""

from __future__ import annotations

from collections.abc import Iterable

from pluginsandbox.autoscaler.demand import Recent, call_milliseconds, demand, standing
from pluginsandbox.autoscaler.need import Loads, Need, need
from pluginsandbox.autoscaler.sample import Sample
from tests.unit.autoscaler.worlds import BEGIN, calls, policy

HORIZON = 4


def recent(*samples: Sample) -> Recent:
    return Recent(samples, HORIZON)


def steady(seconds: int, number: float, **others: float) -> list[Sample]:
    return [calls(n, number, **others) for n in range(1, seconds + 1)]


def asked(numbers: Iterable[float], **fields: object) -> Need:
    """Return the need of the last of these seconds."""
    return asked_by([calls(n, number) for n, number in enumerate(numbers, start=1)], **fields)


def asked_by(samples: list[Sample], **fields: object) -> Need:
    rules = policy(**fields)
    loads = [Loads(each.time, (each.concurrency,)) for each in samples]
    return need(rules, Recent(samples, HORIZON), loads[-rules.panic_window_seconds :])


def test_calls_that_do_not_wait_are_demand_as_they_are() -> None:
    assert demand("Concurrency", recent(*steady(9, 12, requests=12))) == 12_000


def test_a_call_is_as_long_as_it_is_with_a_worker() -> None:
    assert call_milliseconds(recent(*steady(30, 12, requests=24))) == 500
    assert call_milliseconds(recent(*steady(30, 20, queued=8, requests=24))) == 500
    assert call_milliseconds(recent(*steady(30, 12))) is None


def test_all_waiting_calls_count_while_none_ends() -> None:
    assert demand("Concurrency", recent(*steady(9, 12), calls(10, 86, queued=74))) == 86_000


def test_calls_that_pile_up_count_as_the_flow_that_lacks_places() -> None:
    """86 calls of a second each come to 12 pods; after five seconds 370 wait."""
    piled = [calls(10 + n, 12 + 74 * n, queued=74 * n, requests=86) for n in range(1, 6)]
    found = demand("Concurrency", recent(*steady(10, 12, requests=12), *piled))
    assert 86_000 <= found <= (86 + 370 / HORIZON + 1) * 1000


def test_refused_calls_are_demand() -> None:
    usual = steady(10, 12, requests=12)
    assert demand("Concurrency", recent(*usual, calls(11, 12, requests=15, refused=3))) > 14_000
    assert demand("RequestsPerSecond", recent(*usual, calls(11, 12, requests=15))) == 15_000


def test_a_queue_that_stands_counts_in_full() -> None:
    stands = [calls(n, 86, queued=74, requests=1200) for n in range(1, 9)]
    assert standing(recent(*stands), 6) == 86_000


def test_a_queue_that_is_worked_off_or_was_not_there_before_does_not_stand() -> None:
    going = [calls(n, 400 - 30 * n, queued=300 - 30 * n, requests=80) for n in range(1, 7)]
    assert standing(recent(*going), 6) == 0
    assert standing(recent(*steady(6, 12), calls(7, 86, queued=74)), 6) == 0


def test_contexts_are_counted_as_they_are() -> None:
    assert demand("Contexts", recent(calls(1, 0, contexts=17))) == 17_000


def test_a_surge_is_answered_in_its_first_second() -> None:
    found = asked([12] * 60 + [86])
    assert (found.surge, found.pods) == (True, 86)


def test_noise_is_averaged_over_the_panic_window() -> None:
    found = asked([12] * 60 + [18])
    assert (found.surge, found.pods) == (False, 13)


def test_twelve_to_twenty_takes_the_panic_window() -> None:
    """Knative's autoscaler wants 20 after 54 seconds, as that is no panic to it."""
    assert asked([12] * 60 + [20] * 6).pods == 20
    assert asked([12] * 60 + [20] * 5).pods == 19


def test_the_metric_that_asks_for_most_pods_wins() -> None:
    rules = policy(
        metrics=[{"type": "Concurrency", "target": 2}, {"type": "Contexts", "target": 10}]
    )
    samples = [calls(1, 8, contexts=90)]
    found = need(rules, Recent(samples, HORIZON), [Loads(BEGIN + 1, (8000, 90_000))])
    assert (found.metric, found.pods) == ("Contexts", 9)


def test_of_a_load_that_came_within_a_second_all_counts_that_was_there_at_its_end() -> None:
    usual = steady(30, 11, requests=11)
    half = calls(31, 46, queued=34, requests=86, ending=86, ending_queued=74)
    assert asked_by([*usual, half]).pods == 86


def test_what_was_there_at_the_end_of_a_second_that_is_no_surge_counts_for_nothing() -> None:
    usual = steady(30, 11, requests=11)
    assert asked_by([*usual, calls(31, 12, requests=11, ending=40)]).pods == 12


def test_a_surge_that_is_over_at_the_end_of_its_second_counts_as_it_was() -> None:
    usual = steady(30, 11, requests=11)
    assert asked_by([*usual, calls(31, 46, requests=86, ending=11)]).pods == 46
