from __future__ import annotations

import hashlib
import hmac
import json
from typing import Any

import payments
import pytest
from hypothesis import given
from hypothesis import strategies as st
from payments import (
    CallbackError,
    ConflictError,
    ReplayError,
    SignatureError,
    TooManyCallbacksError,
)

from pluginsandbox.sdk.testing import Caller, Harness, harness

KEYS = {"2026-10": b"old key", "2026-11": b"new key"}


class Clock:
    time = 1_000_000.0


class Timed(payments.PaymentCallback):
    now = staticmethod(lambda: Clock.time)


def merchants(**config: str) -> Harness:
    return harness(Timed, config=config, secrets={"hmac": KEYS})


def body(**changes: Any) -> str:
    callback = {
        "id": "evt-1",
        "merchant": "acme",
        "order": "o-1",
        "kind": "captured",
        "amount": 1999,
        "currency": "EUR",
    }
    return json.dumps(callback | changes)


def sign(text: str, timestamp: int, key: bytes = b"new key") -> str:
    return hmac.new(key, f"{timestamp}.{text}".encode(), hashlib.sha256).hexdigest()


def post(merchant: Caller, text: str, *, age: int = 0) -> dict[str, Any]:
    timestamp = int(Clock.time) - age
    receipt: dict[str, Any] = merchant.call(
        "verify",
        body=text,
        signature=sign(text, timestamp),
        timestamp=timestamp,
        key_id="2026-11",
    )
    return receipt


def test_a_genuine_callback_is_counted_once_and_answered_the_same() -> None:
    with merchants().context("acme") as acme:
        first = post(acme, body())
        assert first == {"callback": "evt-1", "order": "o-1", "captured": 1999, "currency": "EUR"}
        assert post(acme, body(id="evt-2", kind="refunded", amount=999))["captured"] == 1000
        Clock.time += 5
        assert post(acme, body()) == first
        assert acme.call("balances") == {"EUR": 1000}
        assert acme.call("order", order="o-1") == {"currency": "EUR", "captured": 1000}
        assert acme.call("order", order="o-2") is None


def test_a_rotated_key_works_beside_the_old_one() -> None:
    text, timestamp = body(), int(Clock.time)
    with merchants().context("acme") as acme:
        for key_id, key in KEYS.items():
            arguments = {"body": text, "timestamp": timestamp, "key_id": key_id}
            acme.call("verify", signature=sign(text, timestamp, key), **arguments)
        with pytest.raises(SignatureError):
            acme.call("verify", signature=sign(text, timestamp, b"old key"), **arguments)


@pytest.mark.parametrize("key_id", ["2026-12", None, "../hmac/2026-11"])
def test_a_stranger_learns_nothing_of_the_keys(key_id: str | None) -> None:
    with merchants().context("acme") as acme, pytest.raises(SignatureError) as caught:
        acme.call(
            "verify",
            body=body(),
            signature=sign(body(), int(Clock.time)),
            timestamp=int(Clock.time),
            key_id=key_id,
        )
    assert str(caught.value) == "the callback is not signed with a key of this merchant"


@pytest.mark.parametrize("age", [301, -301, 10**9])
def test_what_was_signed_too_long_ago_is_refused(age: int) -> None:
    with merchants().context("acme") as acme, pytest.raises(ReplayError, match="within 300 s"):
        post(acme, body(), age=age)


@given(st.integers(0, 10**6), st.characters(), st.sampled_from(["body", "signature", "timestamp"]))
def test_any_change_breaks_the_signature(position: int, letter: str, part: str) -> None:
    text, timestamp = body(), int(Clock.time)
    arguments: dict[str, Any] = {
        "body": text,
        "signature": sign(text, timestamp),
        "timestamp": timestamp,
    }
    old = arguments[part]
    if isinstance(old, str):
        at = position % len(old)
        arguments[part] = old[:at] + letter + old[at + 1 :]
        if arguments[part].lower() == old.lower():
            return
    else:
        arguments[part] = timestamp - 1 - position % 250
    with merchants().context("acme") as acme, pytest.raises(SignatureError):
        acme.call("verify", key_id="2026-11", **arguments)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"merchant": "other"}, "for another merchant than 'acme'"),
        ({"currency": "XXX"}, "currency 'XXX' must be one of"),
        ({"currency": "JPY", "amount": 10_000_001}, r"at most 10000000 in minor .* \(0 digits\)"),
        ({"amount": 19.99}, "the body is no callback: Expected `int`, got `float`"),
        ({"amount": 0}, "the body is no callback"),
        ({"kind": "refunded"}, "refund of 1999 is more than the 0 captured"),
        ({"extra": 1}, "the body is no callback: Object contains unknown field"),
    ],
)
def test_a_genuine_callback_that_makes_no_sense_is_refused(
    changes: dict[str, Any], message: str
) -> None:
    with merchants().context("acme") as acme:
        with pytest.raises(CallbackError, match=message):
            post(acme, body(**changes))
        assert acme.call("balances") == {}, "nothing was counted"


def test_one_order_has_one_currency() -> None:
    with merchants().context("acme") as acme:
        post(acme, body())
        with pytest.raises(CallbackError, match="order 'o-1' was paid in EUR"):
            post(acme, body(id="evt-2", currency="USD"))


def test_one_key_with_two_contents_is_a_conflict() -> None:
    with merchants().context("acme") as acme:
        post(acme, body())
        with pytest.raises(ConflictError, match="'evt-1' came with another content"):
            post(acme, body(amount=1))


def test_memory_is_bounded_and_nothing_is_forgotten_that_could_be_replayed() -> None:
    with merchants(remember="3", window_seconds="100").context("acme") as acme:
        for number in range(3):
            post(acme, body(id=f"evt-{number}", order=f"o-{number}"))
        with pytest.raises(TooManyCallbacksError, match="3 callbacks are remembered already"):
            post(acme, body(id="evt-3"))
        Clock.time += 201
        post(acme, body(id="evt-3", order="o-3"))
        assert acme.call("balances") == {"EUR": 4 * 1999}


CALLBACKS = st.lists(
    st.tuples(st.integers(0, 3), st.sampled_from(["captured", "refunded"]), st.integers(1, 5)),
    max_size=12,
)


@given(CALLBACKS, st.randoms())
def test_posting_again_in_any_order_changes_nothing(
    callbacks: list[tuple[int, str, int]], random: Any
) -> None:
    """Idempotency: whatever was counted once is answered the same, and no balance moves."""
    with merchants().context("acme") as acme:
        counted = []
        for number, (order, kind, amount) in enumerate(callbacks):
            text = body(id=f"evt-{number}", order=f"o-{order}", kind=kind, amount=amount)
            try:
                counted.append((text, post(acme, text)))
            except CallbackError:
                assert kind == "refunded"
        balances = acme.call("balances")
        random.shuffle(counted)
        for text, receipt in counted:
            assert post(acme, text) == receipt
        assert acme.call("balances") == balances
        assert all(amount >= 0 for amount in balances.values())


def test_a_callback_that_was_counted_is_counted_once_also_after_a_crash() -> None:
    with merchants().context("acme") as acme:
        first = post(acme, body())
        acme.crash()
        assert post(acme, body()) == first
        assert acme.call("balances") == {"EUR": 1999}


def test_a_callback_whose_answer_was_lost_counts_when_it_is_posted_again() -> None:
    text, timestamp = body(), int(Clock.time)
    signed: dict[str, Any] = {
        "signature": sign(text, timestamp),
        "timestamp": timestamp,
        "key_id": "2026-11",
    }
    with merchants().context("acme") as acme:
        acme.call("balances")
        acme.crash("verify", body=text, **signed)
        assert acme.call("balances") == {}
        post(acme, text)
        assert acme.call("balances") == {"EUR": 1999}
