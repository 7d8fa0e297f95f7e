"""Stock of one warehouse: what is there, and what is held for whom until when.

The context is the warehouse: `Sandbox-Context: shanghai-1`. All calls of a warehouse come one after
the other, so a reservation needs no lock. A reservation that nobody confirms is given back when its
time is over; that is noticed at the next call, since a plugin has no timer of its own.
"""

from __future__ import annotations

import functools
import heapq
import time
from pathlib import Path
from typing import Annotated

import msgspec

from pluginsandbox.sdk import Plugin, function, slot

Sku = Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
Quantity = Annotated[int, msgspec.Meta(ge=1, le=10_000)]
Seconds = Annotated[int, msgspec.Meta(ge=1, le=86_400)]

DEFAULT_HOLD_SECONDS = 900


class Reservation(msgspec.Struct, frozen=True):
    """Pieces held for one order."""

    id: str
    sku: str
    quantity: int
    expires_at: float
    """Unix time in seconds."""


class Level(msgspec.Struct, frozen=True):
    """Stock of one SKU."""

    sku: str
    available: int
    """May be reserved now."""
    reserved: int
    """Held by open reservations."""


class Ledger(msgspec.Struct):
    """All that a warehouse remembers."""

    available: dict[str, int]
    reserved: dict[str, int]
    open: dict[str, Reservation] = {}
    expiries: list[tuple[float, str]] = []
    """A heap; holds closed reservations too until their time."""
    made: int = 0


class UnknownSkuError(Exception):
    """The warehouse does not carry that SKU."""


class NotEnoughError(Exception):
    """Fewer pieces are available than were asked for."""


class NoSuchReservationError(Exception):
    """It was never made, is confirmed or released already, or its time is over."""


class Stockfile(msgspec.Struct, frozen=True):
    """The shipped file: opening stock by warehouse; `standard` for any that is not listed."""

    standard: dict[str, int]
    warehouses: dict[str, dict[str, int]]


@functools.cache
def stockfile() -> Stockfile:
    """Read the file that is shipped beside this module, once for each worker."""
    data = Path(__file__).with_name("stock.json").read_bytes()
    return msgspec.json.decode(data, type=Stockfile)


class InventoryCheck(Plugin):
    """Reserves, releases and confirms stock of one warehouse."""

    ledger = slot(Ledger)
    now = staticmethod(time.time)

    def on_start(self) -> None:
        """Open the warehouse with its shipped stock."""
        self._hold_seconds = int(self.config.get("hold_seconds", DEFAULT_HOLD_SECONDS))
        file = stockfile()
        opening = file.warehouses.get(self.context.id, file.standard)
        self.ledger.set(Ledger(available=dict(opening), reserved=dict.fromkeys(opening, 0)))

    def on_exit(self, cause: str) -> None:
        """Give back what is still held: nobody will confirm it any more."""
        ledger = self._current()
        reservations = list(ledger.open.values())
        for reservation in reservations:
            _close(ledger, reservation, give_back=True)
        if reservations:
            pieces = sum(reservation.quantity for reservation in reservations)
            print(  # noqa: T201  # what a plugin prints goes to the sandbox's log
                f"{self.context.id}: gave back {len(reservations)} open reservations "
                f"({pieces} pieces) at {cause}"
            )

    @function
    def available(self, sku: Sku) -> Level:
        """Tell how many pieces of a SKU may be reserved."""
        return _level(self._current(), sku)

    @function
    def levels(self) -> list[Level]:
        """Tell the stock of every SKU, sorted."""
        ledger = self._current()
        return [_level(ledger, sku) for sku in sorted(ledger.available)]

    @function
    def reserve(
        self, sku: Sku, quantity: Quantity, ttl_seconds: Seconds | None = None
    ) -> Reservation:
        """Hold pieces of a SKU until they are confirmed, released or their time is over."""
        ledger = self._current()
        level = _level(ledger, sku)
        if level.available < quantity:
            raise NotEnoughError(
                f"{sku}: {quantity} asked for, {level.available} available in {self.context.id}"
            )
        ledger.made += 1
        reservation = Reservation(
            # The generation keeps ids apart when the warehouse was lost and opened anew.
            id=f"{self.context.generation}-{ledger.made}",
            sku=sku,
            quantity=quantity,
            expires_at=self.now() + (ttl_seconds or self._hold_seconds),
        )
        ledger.available[sku] -= quantity
        ledger.reserved[sku] += quantity
        ledger.open[reservation.id] = reservation
        heapq.heappush(ledger.expiries, (reservation.expires_at, reservation.id))
        return reservation

    @function
    def release(self, reservation: str) -> Level:
        """Give a reservation's pieces back."""
        return self._end(reservation, give_back=True)

    @function
    def confirm(self, reservation: str) -> Level:
        """Take a reservation's pieces out of stock: they are sold."""
        return self._end(reservation, give_back=False)

    def _end(self, reservation: str, *, give_back: bool) -> Level:
        ledger = self._current()
        found = ledger.open.get(reservation)
        if found is None:
            raise NoSuchReservationError(
                f"{reservation!r} is unknown, closed already, or its time is over"
            )
        _close(ledger, found, give_back=give_back)
        return _level(ledger, found.sku)

    def _current(self) -> Ledger:
        """Return the ledger as of now: reservations whose time is over are given back first."""
        ledger, now = self.ledger.get(), self.now()
        while ledger.expiries and ledger.expiries[0][0] <= now:
            _, number = heapq.heappop(ledger.expiries)
            if number in ledger.open:
                _close(ledger, ledger.open[number], give_back=True)
        return ledger


def _close(ledger: Ledger, reservation: Reservation, *, give_back: bool) -> None:
    del ledger.open[reservation.id]
    ledger.reserved[reservation.sku] -= reservation.quantity
    if give_back:
        ledger.available[reservation.sku] += reservation.quantity


def _level(ledger: Ledger, sku: str) -> Level:
    if sku not in ledger.available:
        raise UnknownSkuError(f"no SKU {sku!r} here; there are: {', '.join(ledger.available)}")
    return Level(sku=sku, available=ledger.available[sku], reserved=ledger.reserved[sku])
