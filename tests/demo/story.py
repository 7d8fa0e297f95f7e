"""The calls of the demo: three plugins, several contexts, state kept apart and given back."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Iterator
from http import HTTPStatus

from tests.bed.caller import Call, Caller
from tests.bed.kubectl import Kubectl
from tests.bed.shell import CommandError

MERCHANT = "acme"
CONTEXTS = ("shanghai-1", "rotterdam-1", MERCHANT, "parcel-7")


def tell(caller: Caller) -> tuple[list[Call], int]:
    """Make the calls, then release their contexts.

    Returns:
        The calls in order, and how many contexts were released.

    Raises:
        CommandError: An answer was not what the story says.

    """
    for context in CONTEXTS:  # of a demo before this one
        caller.request("DELETE", f"/v1/contexts/{context}")
    calls = [*_inventory(caller), *_payment(caller), *_parcel(caller)]
    released = sum(_release(caller, context) for context in CONTEXTS)
    again = caller.call("inventory-check", "available", context="shanghai-1", sku="A-100")
    _expect(again, "new" in again.binding, "fresh state after its context was released")
    caller.request("DELETE", "/v1/contexts/shanghai-1")
    return [*calls, again], released + 1


def _inventory(caller: Caller) -> Iterator[Call]:
    first = caller.call("inventory-check", "reserve", context="shanghai-1", sku="A-100", quantity=2)
    _expect(first, first.ok, "a reservation")
    yield first
    here = caller.call("inventory-check", "available", context="shanghai-1", sku="A-100")
    _expect(here, here.ok and here.result["reserved"] == 2, "2 pieces reserved")
    yield here
    there = caller.call("inventory-check", "available", context="rotterdam-1", sku="A-100")
    _expect(there, there.ok and there.result["reserved"] == 0, "another warehouse knows nothing")
    yield there
    wrong = caller.call("inventory-check", "reserve", context="shanghai-1", sku="A-100", quantity=0)
    _expect(wrong, not wrong.ok and wrong.result["status"] == 400, "a refused argument")
    yield wrong


def _payment(caller: Caller) -> Iterator[Call]:
    body = json.dumps(
        {
            "id": f"evt-{time.time_ns()}",
            "merchant": MERCHANT,
            "order": "o-1",
            "kind": "captured",
            "amount": 4200,
            "currency": "EUR",
        }
    )
    timestamp = int(time.time())
    key = _key(caller.kubectl, caller.namespace)
    signature = hmac.new(key, f"{timestamp}.{body}".encode(), hashlib.sha256).hexdigest()
    arguments = {"body": body, "timestamp": timestamp}
    for expected in ("a receipt", "the same receipt, counted once"):
        receipt = caller.call(
            "payment-callback", "verify", context=MERCHANT, signature=signature, **arguments
        )
        _expect(receipt, receipt.ok and receipt.result["captured"] == 4200, expected)
        yield receipt
    forged = caller.call(
        "payment-callback", "verify", context=MERCHANT, signature="00" * 32, **arguments
    )
    _expect(forged, not forged.ok, "a forged signature refused")
    yield forged


def _parcel(caller: Caller) -> Iterator[Call]:
    scans = (
        ("departed", "2026-11-20T09:00:00Z", "Shanghai", "Frankfurt"),
        ("collected", "2026-11-20T07:30:00Z", "Shanghai", "Frankfurt"),
    )
    for event, at, place, destination in scans:
        track = caller.call(
            "logistics-track",
            "scan",
            context="parcel-7",
            event=event,
            at=at,
            place=place,
            destination=destination,
        )
        _expect(track, track.ok, "a track")
        yield track


def _release(caller: Caller, context: str) -> bool:
    status, _ = caller.request("DELETE", f"/v1/contexts/{context}")
    return status < HTTPStatus.BAD_REQUEST


def _key(kubectl: Kubectl, namespace: str) -> bytes:
    sandbox = kubectl.get("psb", "shop", "-n", namespace)
    plugins = {each["name"]: each for each in sandbox["spec"]["plugins"]}
    name = plugins["payment-callback"]["secrets"][0]["secretName"]
    data = kubectl.get("secret", name, "-n", namespace)["data"]
    return base64.b64decode(next(iter(data.values())))


def _expect(call: Call, met: bool, what: str) -> None:  # noqa: FBT001 - a condition, not a switch
    if not met:
        raise CommandError(
            f"{call.plugin}.{call.function}: expected {what}, got {call.result!r}. "
            "See `kubectl logs -n shop deployment/shop`."
        )
