"""Payment callbacks of one merchant: is it genuine, is it new, and what does it change.

The context is the merchant: `Sandbox-Context: acme`. A payment provider signs what it posts with
HMAC-SHA-256 over `<timestamp>.<body>`, and posts again until it is answered: the same callback must
be counted once and answered the same each time, also when the worker has died in between: the
state is in durable slots.
"""

from __future__ import annotations

import csv
import functools
import hashlib
import hmac
import time
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from pluginsandbox.sdk import Plugin, SecretError, function, slot

DEFAULT_WINDOW_SECONDS = 300
DEFAULT_REMEMBERED = 1000


class Callback(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a provider posts; amounts are integers in the minor unit: cents, fils, yen."""

    id: Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
    """Idempotency key: one for each event, the same when it is posted again."""
    merchant: str
    order: Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
    kind: Literal["captured", "refunded"]
    amount: Annotated[int, msgspec.Meta(ge=1)]
    currency: Annotated[str, msgspec.Meta(pattern="^[A-Z]{3}$")]


class Receipt(msgspec.Struct, frozen=True):
    """The answer to a callback."""

    callback: str
    order: str
    captured: int
    """Of this order, after this callback, less what was refunded."""
    currency: str


class Payment(msgspec.Struct):
    """What is known of one order."""

    currency: str
    captured: int = 0


class Answer(msgspec.Struct, frozen=True):
    """A callback that was counted, and what was answered."""

    digest: bytes
    at: float
    receipt: Receipt


class Currency(msgspec.Struct, frozen=True):
    """A line of the shipped table."""

    code: str
    minor_digits: int
    largest_amount: int


class SignatureError(Exception):
    """Not signed by the provider, or not with a key that is valid now."""


class ReplayError(Exception):
    """Signed too long ago, or in the future."""


class CallbackError(Exception):
    """Genuine, but it makes no sense for this merchant or order."""


class ConflictError(Exception):
    """The same idempotency key came with another content before."""


class TooManyCallbacksError(Exception):
    """More callbacks came within the window than can be remembered; post it again later."""


@functools.cache
def currencies() -> dict[str, Currency]:
    """Read the table that is shipped beside this module, once for each worker."""
    with Path(__file__).with_name("currencies.csv").open(newline="") as file:
        rows = msgspec.convert(list(csv.DictReader(file)), list[Currency], strict=False)
    return {row.code: row for row in rows}


class PaymentCallback(Plugin):
    """Verifies and counts payment callbacks of one merchant."""

    answers = slot(dict[str, Answer], factory=dict, durable=True)
    """By idempotency key, oldest first."""
    orders = slot(dict[str, Payment], factory=dict, durable=True)
    now = staticmethod(time.time)

    def on_start(self) -> None:
        """Read the table and the configuration, so that what is wrong in them shows at once."""
        currencies()
        self._window = int(self.config.get("window_seconds", DEFAULT_WINDOW_SECONDS))
        self._remember = int(self.config.get("remember", DEFAULT_REMEMBERED))

    @function
    def verify(
        self, body: str, signature: str, timestamp: int, key_id: str | None = None
    ) -> Receipt:
        """Check a callback and count it, once.

        `signature` is the hex HMAC-SHA-256 of `<timestamp>.<body>`, `timestamp` Unix seconds,
        `key_id` names the key when the merchant has several.
        """
        self._check_signature(body, signature, timestamp, key_id)
        callback = self._read(body)
        digest = hashlib.sha256(body.encode()).digest()
        known = self.answers.get().get(callback.id)
        if known is not None:
            if known.digest != digest:
                raise ConflictError(f"callback {callback.id!r} came with another content before")
            return known.receipt
        self._make_room()
        receipt = self._count(callback)
        self.answers.get()[callback.id] = Answer(digest, self.now(), receipt)
        return receipt

    @function
    def balances(self) -> dict[str, int]:
        """Tell what was captured, less refunds, by currency in its minor unit."""
        totals: dict[str, int] = {}
        for payment in self.orders.get().values():
            totals[payment.currency] = totals.get(payment.currency, 0) + payment.captured
        return totals

    @function
    def order(self, order: str) -> Payment | None:
        """Tell what is known of one order, if anything."""
        return self.orders.get().get(order)

    def _check_signature(
        self, body: str, signature: str, timestamp: int, key_id: str | None
    ) -> None:
        if abs(self.now() - timestamp) > self._window:
            raise ReplayError(f"the timestamp must be within {self._window} s of now")
        try:
            key = self.secret("hmac", key_id)
        except SecretError as error:
            # A stranger need not learn which keys there are; the log may.
            print(f"{self.context.id}: {error}")  # noqa: T201  # goes to the sandbox's log
            raise SignatureError("the callback is not signed with a key of this merchant") from None
        wanted = hmac.new(key, f"{timestamp}.{body}".encode(), hashlib.sha256).hexdigest()
        if not hmac.compare_digest(wanted.encode(), signature.lower().encode()):
            raise SignatureError("the callback is not signed with a key of this merchant")

    def _read(self, body: str) -> Callback:
        try:
            callback = msgspec.json.decode(body, type=Callback)
        except msgspec.DecodeError as error:
            raise CallbackError(f"the body is no callback: {error}") from None
        if callback.merchant != self.context.id:
            raise CallbackError(f"the callback is for another merchant than {self.context.id!r}")
        currency = currencies().get(callback.currency)
        if currency is None:
            raise CallbackError(f"currency {callback.currency!r} must be one of {[*currencies()]}")
        if callback.amount > currency.largest_amount:
            raise CallbackError(
                f"amount must be at most {currency.largest_amount} in minor units of "
                f"{currency.code} ({currency.minor_digits} digits)"
            )
        return callback

    def _make_room(self) -> None:
        answers = self.answers.get()
        while len(answers) >= self._remember:
            oldest = next(iter(answers))
            # Forgotten within the window it could be replayed and counted twice.
            if self.now() - answers[oldest].at <= 2 * self._window:
                raise TooManyCallbacksError(
                    f"{self._remember} callbacks are remembered already; post it again later"
                )
            del answers[oldest]

    def _count(self, callback: Callback) -> Receipt:
        orders = self.orders.get()
        payment = orders.get(callback.order) or Payment(callback.currency)
        if payment.currency != callback.currency:
            raise CallbackError(f"order {callback.order!r} was paid in {payment.currency}")
        change = callback.amount if callback.kind == "captured" else -callback.amount
        if payment.captured + change < 0:
            raise CallbackError(
                f"refund of {callback.amount} is more than the {payment.captured} captured for "
                f"order {callback.order!r}"
            )
        payment.captured += change
        orders[callback.order] = payment
        return Receipt(callback.id, callback.order, payment.captured, payment.currency)
