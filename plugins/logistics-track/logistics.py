"""Track of one parcel, from scans that come late, twice and in any order.

The context is the parcel: `Sandbox-Context: parcel-4711`. The history is a sorted set of scans and
all else is derived from it: answers depend on which scans came, never on the order they came in.
"""

from __future__ import annotations

import bisect
import csv
import datetime as dt
import functools
import heapq
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from pluginsandbox.sdk import Plugin, function, slot

Event = Literal["announced", "collected", "arrived", "departed", "loaded", "failed", "delivered"]
Status = Literal["unknown", "announced", "in transit", "out for delivery", "attempted", "delivered"]
Moment = Annotated[dt.datetime, msgspec.Meta(tz=True)]
Place = Annotated[str, msgspec.Meta(min_length=1, max_length=64)]

MAX_SCANS = 500
# Time a parcel rests at each place it passes.
HANDLING = dt.timedelta(hours=4)

# What a parcel may do in each status, and what it is afterwards.
TRANSITIONS: dict[Status, dict[Event, Status]] = {
    "unknown": {"announced": "announced", "collected": "in transit"},
    "announced": {"collected": "in transit"},
    "in transit": {
        "arrived": "in transit",
        "departed": "in transit",
        "loaded": "out for delivery",
    },
    "out for delivery": {"delivered": "delivered", "failed": "attempted"},
    "attempted": {"arrived": "in transit", "loaded": "out for delivery"},
    "delivered": {},
}
# Scanners have clocks of whole seconds: of two scans in one second the earlier step comes first.
STEPS: dict[Event, int] = {
    "announced": 0,
    "collected": 1,
    "arrived": 2,
    "departed": 3,
    "loaded": 4,
    "failed": 5,
    "delivered": 6,
}


class Scan(msgspec.Struct, frozen=True):
    """One scan, as a scanner sent it."""

    at: dt.datetime
    event: Event
    place: str
    destination: str = ""

    @property
    def order(self) -> tuple[float, int, str, str]:
        """Where it belongs in the history; equal for two scans only if they are the same."""
        return (self.at.timestamp(), STEPS[self.event], self.place, self.destination)


class Track(msgspec.Struct, frozen=True):
    """What the history says."""

    parcel: str
    status: Status
    place: str
    """Of the last scan that counts; empty while there is none."""
    destination: str
    since: dt.datetime | None
    estimated_arrival: dt.datetime | None
    """At the destination; None if delivered, or if no route is known."""
    scans: int
    odd: int
    """Scans that fit no step of a parcel's way, such as one after it was delivered."""


class TooManyScansError(Exception):
    """More scans than a parcel can have."""


@functools.cache
def routes() -> dict[str, dict[str, float]]:
    """Read the table that is shipped beside this module, once for each worker: hours by leg."""
    table: dict[str, dict[str, float]] = {}
    with Path(__file__).with_name("routes.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            one, other, hours = row["origin"], row["destination"], float(row["hours"])
            table.setdefault(one, {})[other] = hours
            table.setdefault(other, {})[one] = hours
    return table


@functools.lru_cache(maxsize=1024)
def travel_time(origin: str, destination: str) -> dt.timedelta | None:
    """Return the shortest time between two places, handling included; None if there is no way."""
    handling = HANDLING / dt.timedelta(hours=1)
    frontier, done = [(0.0, origin)], set[str]()
    while frontier:
        hours, place = heapq.heappop(frontier)
        if place == destination:
            return dt.timedelta(hours=hours)
        if place in done:
            continue
        done.add(place)
        for neighbour, leg in routes().get(place, {}).items():
            heapq.heappush(frontier, (hours + leg + handling, neighbour))
    return None


class LogisticsTrack(Plugin):
    """Orders the scans of one parcel and tells where it is and when it will arrive."""

    scans = slot(list[Scan], factory=list)

    def on_start(self) -> None:
        """Read the table, so that what is wrong in it shows at once."""
        routes()

    @function
    def scan(self, event: Event, at: Moment, place: Place, destination: str = "") -> Track:
        """Add a scan; one that is known already changes nothing."""
        scans = self.scans.get()
        new = Scan(at.astimezone(dt.UTC), event, place, destination)
        index = bisect.bisect_left(scans, new.order, key=lambda scan: scan.order)
        if index == len(scans) or scans[index].order != new.order:
            if len(scans) >= MAX_SCANS:
                raise TooManyScansError(f"a parcel has at most {MAX_SCANS} scans")
            scans.insert(index, new)
        return self.status()

    @function
    def history(self) -> list[Scan]:
        """Tell all scans, oldest first."""
        return self.scans.get()

    @function
    def status(self) -> Track:
        """Tell where the parcel is, and when it will arrive."""
        status: Status = "unknown"
        destination, odd = "", 0
        last: Scan | None = None
        for scan in self.scans.get():
            destination = scan.destination or destination
            following = TRANSITIONS[status].get(scan.event)
            if following is None:
                odd += 1
            else:
                status, last = following, scan
        return Track(
            parcel=self.context.id,
            status=status,
            place=last.place if last else "",
            destination=destination,
            since=last.at if last else None,
            estimated_arrival=_estimate(status, last, destination),
            scans=len(self.scans.get()),
            odd=odd,
        )


def _estimate(status: Status, last: Scan | None, destination: str) -> dt.datetime | None:
    if last is None or status == "delivered" or not destination:
        return None
    time = travel_time(last.place, destination)
    return None if time is None else last.at + time
