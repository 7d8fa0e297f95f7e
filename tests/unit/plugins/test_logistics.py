from __future__ import annotations

import datetime as dt
from typing import Any, get_args

import logistics
import pytest
from hypothesis import given
from hypothesis import strategies as st
from logistics import HANDLING, STEPS, TRANSITIONS, LogisticsTrack, TooManyScansError

from pluginsandbox.sdk.errors import ArgumentsError
from pluginsandbox.sdk.testing import Caller, Harness, harness

DAY = dt.datetime(2026, 11, 23, 8, tzinfo=dt.UTC)


def hours(number: float) -> dt.datetime:
    return DAY + dt.timedelta(hours=number)


JOURNEY: list[dict[str, Any]] = [
    {"event": "announced", "at": hours(0), "place": "Shanghai", "destination": "Berlin"},
    {"event": "collected", "at": hours(2), "place": "Shanghai"},
    {"event": "departed", "at": hours(8), "place": "Shanghai"},
    {"event": "arrived", "at": hours(42), "place": "Frankfurt"},
    {"event": "departed", "at": hours(46), "place": "Frankfurt"},
    {"event": "arrived", "at": hours(54), "place": "Berlin"},
    {"event": "loaded", "at": hours(60), "place": "Berlin"},
    {"event": "delivered", "at": hours(63), "place": "Berlin"},
]


@pytest.fixture
def parcels() -> Harness:
    return harness(LogisticsTrack)


def scan(parcel: Caller, scans: list[dict[str, Any]]) -> dict[str, Any]:
    track: dict[str, Any] = {}
    for each in scans:
        track = parcel.call("scan", **each)
    return track


def test_a_journey_is_followed_to_its_end(parcels: Harness) -> None:
    with parcels.context("parcel-1") as parcel:
        seen = [parcel.call("scan", **each)["status"] for each in JOURNEY]
        assert seen == [
            "announced",
            *["in transit"] * 5,
            "out for delivery",
            "delivered",
        ]
        track = parcel.call("status")
    assert track["estimated_arrival"] is None
    assert (track["place"], track["destination"], track["odd"]) == ("Berlin", "Berlin", 0)


def test_arrival_is_estimated_from_the_shipped_routes(parcels: Harness) -> None:
    """Shanghai to Frankfurt 34 h, to Berlin 8 h more, handled at both."""
    with parcels.context() as parcel:
        track = scan(parcel, JOURNEY[:3])
        expected = hours(8 + 34 + 8) + 2 * HANDLING
        assert dt.datetime.fromisoformat(track["estimated_arrival"]) == expected
        assert scan(parcel, JOURNEY[:6])["estimated_arrival"] == "2026-11-25T14:00:00Z"


def test_no_route_and_no_destination_give_no_estimate(parcels: Harness) -> None:
    with parcels.context() as parcel:
        assert scan(parcel, JOURNEY[1:2])["estimated_arrival"] is None
        track = parcel.call(
            "scan", event="arrived", at=hours(9), place="Atlantis", destination="Berlin"
        )
        assert track["estimated_arrival"] is None


def test_a_second_attempt_follows_a_failed_one(parcels: Harness) -> None:
    with parcels.context() as parcel:
        scan(parcel, JOURNEY[:7])
        failed = parcel.call("scan", event="failed", at=hours(62), place="Berlin")
        assert failed["status"] == "attempted"
        again = parcel.call("scan", event="loaded", at=hours(80), place="Berlin")
        assert again["status"] == "out for delivery"


def test_scans_that_fit_no_step_are_kept_and_counted(parcels: Harness) -> None:
    with parcels.context() as parcel:
        track = scan(parcel, [*JOURNEY, {"event": "arrived", "at": hours(99), "place": "Hamburg"}])
        assert (track["status"], track["odd"], track["scans"]) == ("delivered", 1, 9)
        assert parcel.call("history")[-1]["place"] == "Hamburg"


def test_the_same_moment_in_another_time_zone_is_the_same_scan(parcels: Harness) -> None:
    shanghai = dt.timezone(dt.timedelta(hours=8))
    with parcels.context() as parcel:
        parcel.call("scan", **JOURNEY[0])
        track = parcel.call("scan", **{**JOURNEY[0], "at": hours(0).astimezone(shanghai)})
        assert track["scans"] == 1


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"at": "2026-11-23T08:00:00"}, "at: must be datetime with a timezone component"),
        ({"at": "yesterday"}, "at: invalid RFC3339 encoded datetime"),
        ({"event": "lost"}, "event: invalid enum value 'lost'"),
        ({"place": ""}, "place: must be str of length >= 1"),
    ],
)
def test_bad_scans_are_refused(parcels: Harness, changes: dict[str, Any], message: str) -> None:
    with parcels.context() as parcel, pytest.raises(ArgumentsError, match=message):
        parcel.call("scan", **{**JOURNEY[0], **changes})


def test_a_parcel_has_a_bounded_history(parcels: Harness) -> None:
    with parcels.context() as parcel:
        for number in range(logistics.MAX_SCANS):
            parcel.call("scan", event="arrived", at=hours(number), place="Berlin")
        parcel.call("scan", event="arrived", at=hours(0), place="Berlin")
        with pytest.raises(TooManyScansError, match="at most 500 scans"):
            parcel.call("scan", event="arrived", at=hours(0.5), place="Berlin")


def test_the_tables_fit_each_other() -> None:
    events, statuses = set(get_args(logistics.Event)), set(get_args(logistics.Status))
    assert set(STEPS) == events
    assert set(TRANSITIONS) == statuses
    for steps in TRANSITIONS.values():
        assert set(steps) <= events
        assert set(steps.values()) <= statuses


def test_routes_lead_both_ways_and_are_shortest() -> None:
    assert logistics.travel_time("Berlin", "Shanghai") == logistics.travel_time(
        "Shanghai", "Berlin"
    )
    assert logistics.travel_time("Berlin", "Berlin") == dt.timedelta(0)
    assert logistics.travel_time("Berlin", "Atlantis") is None
    for place, legs in logistics.routes().items():
        for other, leg in legs.items():
            found = logistics.travel_time(place, other)
            assert found is not None
            assert found <= dt.timedelta(hours=leg) + HANDLING


SCANS = st.lists(
    st.fixed_dictionaries(
        {
            "event": st.sampled_from(sorted(STEPS)),
            "at": st.integers(0, 5).map(hours),
            "place": st.sampled_from(["Shanghai", "Frankfurt", "Berlin", "Atlantis"]),
            "destination": st.sampled_from(["", "Berlin", "Leipzig"]),
        }
    ),
    max_size=10,
)


@given(SCANS, st.randoms(), st.integers(1, 3))
def test_the_answer_depends_on_the_scans_alone_never_on_their_order(
    scans: list[dict[str, Any]], random: Any, copies: int
) -> None:
    both = harness(LogisticsTrack)
    shuffled = scans * copies
    random.shuffle(shuffled)
    with both.context("p") as one, both.context("p") as other:
        scan(one, scans)
        scan(other, shuffled)
        assert one.call("status") == other.call("status")
        history = one.call("history")
        assert history == other.call("history")
    times = [each["at"] for each in history]
    assert times == sorted(times)
    assert len(history) == len({tuple(sorted(map(str, each.items()))) for each in scans})
