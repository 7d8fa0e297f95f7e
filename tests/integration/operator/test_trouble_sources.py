"""A source that is missing, wrong or too large ends in a condition, and heals with its cause."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from pluginsandbox.controller import kinds
from pluginsandbox.verify.digest import tree_digest
from tests.integration.operator.bed import (
    Bed,
    eventually,
    sandbox,
    source,
)

pytestmark = pytest.mark.cluster


def plugin(**fields: Any) -> dict[str, Any]:
    base = sandbox()["spec"]["plugins"][0]
    return {**base, **fields}


async def test_a_missing_source_heals_when_it_comes(bed: Bed) -> None:
    async with bed.operator():
        await bed.put(sandbox())
        message = await bed.until("Reconciling", "True", "SourceMissing")
        assert "ConfigMap counter" in message
        assert "create it" in message
        assert (await bed.condition("Ready"))[:2] == ("Unknown", "Progressing")
        assert await bed.events("SourceMissing")
        await bed.put(source())
        await bed.until("Ready", "True", seconds=5)
        await eventually("an event", lambda: bed.events("Recovered"), seconds=5)


async def test_an_unlabelled_source_is_not_copied_until_its_owner_labels_it(bed: Bed) -> None:
    async with bed.operator():
        await bed.put(source(labelled=False))
        await bed.put(sandbox())
        message = await bed.until("Ready", "False", "SourceNotLabelled")
        assert "kubectl label configmap counter" in message
        assert not await bed.find(kinds.CONFIG_MAP)
        await bed.put(source())
        await bed.until("Ready", "True", seconds=5)


async def test_an_empty_source_is_a_missing_one(bed: Bed) -> None:
    async with bed.operator():
        await bed.put({**source(), "data": {}})
        await bed.put(sandbox())
        assert "is empty" in await bed.until("Reconciling", "True", "SourceMissing")


async def test_a_wrong_digest_is_never_rolled_out(bed: Bed) -> None:
    async with bed.operator():
        await bed.put(source())
        wrong, right = "sha256:" + "0" * 64, tree_digest({"counter.py": b"a = 1\n"})
        await bed.put(sandbox(plugins=[plugin(digest=wrong)]))
        message = await bed.until("Stalled", "True", "DigestMismatch")
        assert right in message
        assert (await bed.condition("Reconciling"))[0] == "False"
        assert (await bed.condition("Ready"))[:2] == ("False", "DigestMismatch")
        assert await bed.get(kinds.DEPLOYMENT) is None
        await bed.put(sandbox(plugins=[plugin(digest=right)]))
        await bed.until("Ready", "True")
        assert (await bed.condition("Stalled"))[0] == "False"


async def test_a_source_that_is_too_large_says_what_to_ship_instead(bed: Bed) -> None:
    async with bed.operator():
        large = {"blob": base64.b64encode(b"x" * (700 << 10)).decode()}
        await bed.put({**source(), "binaryData": large})
        await bed.put(sandbox())
        assert "source.image" in await bed.until("Stalled", "True", "SourceTooLarge")
        await bed.put(source())
        await bed.until("Ready", "True")
