"""Each rule that the chart can have the API server enforce refuses by field, and lets pass."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import AsyncIterator
from typing import Any

import pytest

from pluginsandbox.controller import kinds
from pluginsandbox.controller.errors import PermanentError
from tests.bed import chart
from tests.integration.operator.bed import Bed, eventually
from tests.integration.operator.test_trouble_refused import BINDING, POLICY
from tests.unit.api.cases import P
from tests.unit.api.objects import DIGEST, sandbox

pytestmark = pytest.mark.cluster

RULES: dict[str, Any] = {
    "registries": ["registry.example", "other.example:5000/shop"],
    "requireDigest": True,
    "requirePerContext": True,
    "runtimeClasses": ["gvisor", "kata"],
}
GOOD: dict[str, Any] = {
    f"{P}.digest": DIGEST,
    f"{P}.isolation": "PerContext",
    "pod.runtimeClassName": "kata",
}
IMAGES = "spec.plugins[].source.image.reference must be in one of registry.example"
CLASSES = "spec.pod.runtimeClassName must be one of gvisor, kata"
KINDS = {each.name: each for each in (POLICY, BINDING)}


def image(reference: str) -> dict[str, Any]:
    return {f"{P}.source": {"image": {"reference": f"{reference}@{DIGEST}"}}}


PASS = (
    GOOD,
    GOOD | image("registry.example/a"),
    GOOD | image("other.example:5000/shop/a"),
    GOOD | image("other.example:5000/shop"),
)
REFUSE = (
    ("without a digest", {f"{P}.digest": None}, "spec.plugins[].digest must be set"),
    ("with shared processes", {f"{P}.isolation": "PerPlugin"}, "spec.plugins[].isolation must be"),
    ("by the default isolation", {f"{P}.isolation": None}, "it is not in plugin inventory-check"),
    ("without a RuntimeClass", {"pod.runtimeClassName": None}, CLASSES),
    ("of another RuntimeClass", {"pod.runtimeClassName": "runc"}, CLASSES),
    ("from another registry", image("evil.example/a"), IMAGES),
    ("from a registry of no name", image("a"), IMAGES),
    ("from a registry that begins alike", image("registry.example.evil.example/a"), IMAGES),
    ("from another port", image("registry.example:5000/a"), IMAGES),
    ("from a repository that begins alike", image("other.example:5000/shopping/a"), IMAGES),
    ("from another repository", image("other.example:5000/a"), IMAGES),
)


async def put(bed: Bed, changes: dict[str, Any], **query: str) -> None:
    """Have the API server take an object."""
    body = sandbox(**changes, **{"metadata.namespace": bed.namespace})
    await bed.write("POST", kinds.SANDBOX.path(bed.namespace), body, **query)


async def refusal(bed: Bed, changes: dict[str, Any]) -> str:
    """Return why the API server refuses an object; nothing if it does not."""
    try:
        await put(bed, changes, dryRun="All")
    except PermanentError as error:
        return str(error)
    return ""


@contextlib.asynccontextmanager
async def enforced(bed: Bed, bad: dict[str, Any], **rules: Any) -> AsyncIterator[None]:
    """Have the rules enforced in the bed's namespace alone, once one of them refuses `bad`."""
    selector = {"matchLabels": {"kubernetes.io/metadata.name": bed.namespace}}
    objects = chart.rendered(
        f"home-{secrets.token_hex(4)}", admission={**rules, "namespaces": selector}
    )
    made = [each for each in objects if each["kind"] in KINDS]
    for each in made:
        await bed.write("POST", KINDS[each["kind"]].path(""), each)
    try:
        await eventually("the policy", lambda: refusal(bed, bad))
        yield
    finally:
        for each in made:
            await bed.write("DELETE", KINDS[each["kind"]].path("", each["metadata"]["name"]), {})


async def test_every_rule_refuses_by_its_field_and_lets_the_rest_pass(bed: Bed) -> None:
    async with enforced(bed, {}, **RULES):
        assert [await refusal(bed, each) for each in PASS] == [""] * len(PASS)
        for what, changes, words in REFUSE:
            assert words in await refusal(bed, GOOD | changes), what
        all_of_them = await refusal(bed, image("evil.example/a"))
        assert "it is not in plugin inventory-check" in all_of_them


@pytest.mark.parametrize("rule", RULES)
async def test_a_rule_alone_refuses_what_it_is_about_and_nothing_else(bed: Bed, rule: str) -> None:
    breaks = {
        "registries": image("evil.example/a"),
        "requireDigest": {},
        "requirePerContext": {},
        "runtimeClasses": {},
    }
    keeps: dict[str, dict[str, Any]] = {
        "registries": {},
        "requireDigest": image("evil.example/a"),
        "requirePerContext": {f"{P}.isolation": "PerContext"},
        "runtimeClasses": {"pod.runtimeClassName": "gvisor"},
    }
    async with enforced(bed, breaks[rule], **{rule: RULES[rule]}):
        assert await refusal(bed, keeps[rule]) == ""


async def test_what_was_there_before_the_rules_goes_on_until_its_spec_changes(bed: Bed) -> None:
    await put(bed, {})
    async with enforced(bed, {"metadata.name": "other"}, requirePerContext=True):
        labels = {"metadata": {"labels": {"team": "shop"}}}
        await bed.api.merge(kinds.SANDBOX, bed.namespace, "shop", labels)
        with pytest.raises(PermanentError, match="isolation must be PerContext"):
            await bed.api.merge(kinds.SANDBOX, bed.namespace, "shop", {"spec": {"replicas": 2}})
        await bed.drop(kinds.SANDBOX)
