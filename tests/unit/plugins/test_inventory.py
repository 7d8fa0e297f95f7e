from __future__ import annotations

import contextlib
from typing import Any

import inventory
import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from inventory import NoSuchReservationError, NotEnoughError, UnknownSkuError

from pluginsandbox.sdk.errors import ArgumentsError, StartError
from pluginsandbox.sdk.testing import Harness, harness


class Clock:
    time = 1_000_000.0


class Timed(inventory.InventoryCheck):
    now = staticmethod(lambda: Clock.time)


@pytest.fixture
def warehouses() -> Harness:
    return harness(Timed, config={"hold_seconds": "60"})


def test_each_warehouse_opens_with_its_shipped_stock(warehouses: Harness) -> None:
    with warehouses.context("shanghai-1") as shanghai, warehouses.context("anywhere") as other:
        assert shanghai.call("available", sku="A-100")["available"] == 120
        assert other.call("available", sku="A-100")["available"] == 40
        shanghai.call("reserve", sku="A-100", quantity=120)
        assert other.call("available", sku="A-100")["available"] == 40


def test_a_reservation_is_held_then_confirmed_or_released(warehouses: Harness) -> None:
    with warehouses.context("berlin-2") as berlin:
        first = berlin.call("reserve", sku="A-100", quantity=10)
        second = berlin.call("reserve", sku="A-100", quantity=8)
        assert berlin.call("available", sku="A-100") == level("A-100", 0, 18)
        with pytest.raises(NotEnoughError, match="A-100: 1 asked for, 0 available in berlin-2"):
            berlin.call("reserve", sku="A-100", quantity=1)
        assert berlin.call("confirm", reservation=first["id"]) == level("A-100", 0, 8)
        assert berlin.call("release", reservation=second["id"]) == level("A-100", 8, 0)
        for function in ("confirm", "release"):
            with pytest.raises(NoSuchReservationError):
                berlin.call(function, reservation=second["id"])


def test_a_reservation_is_given_back_when_its_time_is_over(warehouses: Harness) -> None:
    with warehouses.context("berlin-2") as berlin:
        default = berlin.call("reserve", sku="A-100", quantity=5)
        short = berlin.call("reserve", sku="A-100", quantity=3, ttl_seconds=10)
        assert default["expires_at"] == Clock.time + 60
        Clock.time += 10
        assert berlin.call("available", sku="A-100") == level("A-100", 13, 5)
        with pytest.raises(NoSuchReservationError, match="its time is over"):
            berlin.call("confirm", reservation=short["id"])
        Clock.time += 50
        assert berlin.call("available", sku="A-100") == level("A-100", 18, 0)


def test_ids_differ_after_the_state_was_lost(warehouses: Harness) -> None:
    with warehouses.context("berlin-2") as first:
        before = first.call("reserve", sku="A-100", quantity=1)["id"]
    with warehouses.context("berlin-2", generation=2) as second:
        assert second.call("reserve", sku="A-100", quantity=1)["id"] != before


def test_at_the_end_open_reservations_are_given_back_and_logged(
    warehouses: Harness, capsys: pytest.CaptureFixture[str]
) -> None:
    with warehouses.context("berlin-2") as berlin:
        berlin.call("reserve", sku="A-100", quantity=5)
        berlin.call("reserve", sku="B-310", quantity=2)
        berlin.release("Idle")
    said = capsys.readouterr().out
    assert said == "berlin-2: gave back 2 open reservations (7 pieces) at Idle\n"


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"sku": "Z-1", "quantity": 1}, UnknownSkuError, "no SKU 'Z-1' here; there are: A-100"),
        ({"sku": "A-100", "quantity": 0}, ArgumentsError, "quantity: must be int >= 1"),
        ({"sku": "", "quantity": 1}, ArgumentsError, "sku: must be str of length >= 1"),
        (
            {"sku": "A-100", "quantity": 1, "ttl_seconds": 0},
            ArgumentsError,
            "ttl_seconds: must be int >= 1",
        ),
    ],
)
def test_bad_requests_are_refused(
    warehouses: Harness, arguments: Any, error: type[Exception], message: str
) -> None:
    with warehouses.context("berlin-2") as berlin, pytest.raises(error, match=message):
        berlin.call("reserve", **arguments)


def test_a_wrong_configuration_shows_at_the_first_call() -> None:
    with (
        pytest.raises(StartError, match="ValueError: invalid literal"),
        harness(Timed, config={"hold_seconds": "soon"}).context(),
    ):
        pass


def level(sku: str, available: int, reserved: int) -> dict[str, Any]:
    return {"sku": sku, "available": available, "reserved": reserved}


class Warehouse(RuleBasedStateMachine):
    """Pieces are available, reserved or sold; none appears and none is lost."""

    def __init__(self) -> None:
        super().__init__()
        self.exit = contextlib.ExitStack()
        self.caller = self.exit.enter_context(harness(Timed).context("berlin-2"))
        self.opening = self.total()
        self.sold = 0
        self.open: dict[str, tuple[int, float]] = {}

    def total(self) -> int:
        levels = self.caller.call("levels")
        return sum(each["available"] + each["reserved"] for each in levels)

    @rule(
        sku=st.sampled_from(["A-100", "B-310", "D-900", "X"]),
        quantity=st.integers(1, 12),
        ttl=st.integers(1, 100),
    )
    def reserve(self, sku: str, quantity: int, ttl: int) -> None:
        with contextlib.suppress(NotEnoughError, UnknownSkuError):
            made = self.caller.call("reserve", sku=sku, quantity=quantity, ttl_seconds=ttl)
            assert made["id"] not in self.open
            self.open[made["id"]] = (quantity, made["expires_at"])

    @precondition(lambda self: self.open)
    @rule(data=st.data(), function=st.sampled_from(["confirm", "release"]))
    def close(self, data: st.DataObject, function: str) -> None:
        name = data.draw(st.sampled_from(sorted(self.open)))
        quantity, expires_at = self.open.pop(name)
        expired = expires_at <= Clock.time
        try:
            self.caller.call(function, reservation=name)
        except NoSuchReservationError:
            assert expired
        else:
            assert not expired
            self.sold += quantity if function == "confirm" else 0

    @rule(seconds=st.integers(0, 60))
    def wait(self, seconds: int) -> None:
        Clock.time += seconds

    @invariant()
    def pieces_are_conserved(self) -> None:
        assert self.total() + self.sold == self.opening

    @invariant()
    def what_is_reserved_is_what_is_open(self) -> None:
        held = sum(amount for amount, until in self.open.values() if until > Clock.time)
        assert sum(each["reserved"] for each in self.caller.call("levels")) == held

    def teardown(self) -> None:
        self.exit.close()


TestWarehouse = Warehouse.TestCase
