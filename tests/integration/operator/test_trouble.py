"""A kind, a namespace or an operator in trouble ends in a condition, and heals with its cause."""

from __future__ import annotations

import asyncio
from typing import Any

import aiohttp
import pytest

from pluginsandbox.api import crd
from pluginsandbox.controller import kinds, reconcile
from pluginsandbox.controller.errors import PermanentError
from pluginsandbox.controller.kinds import Kind
from tests.integration.operator.bed import (
    DEFINITION,
    Bed,
    eventually,
    install_kind,
    sandbox,
    source,
)

pytestmark = pytest.mark.cluster


async def test_a_namespace_that_is_being_deleted_is_no_crash(bed: Bed) -> None:
    await bed.put(source())
    held = {"metadata": {"name": "held", "finalizers": ["pluginsandbox.test/hold"]}}
    await bed.write("POST", kinds.CONFIG_MAP.path(bed.namespace), held)
    async with bed.operator() as operator:
        await bed.put(sandbox())
        await bed.until("Ready", "True")
        await bed.drop_namespace()

        async def gone() -> bool:
            return not list(operator.store.sandboxes())

        await eventually("the sandbox is gone", gone, seconds=30)
        assert not operator._stopping
    await bed.write(
        "PATCH",
        kinds.CONFIG_MAP.path(bed.namespace, "held"),
        {"metadata": {"finalizers": None}},
        "application/merge-patch+json",
    )


async def test_without_the_kind_the_operator_waits_and_then_serves(bed: Bed) -> None:
    await bed.write("DELETE", DEFINITION.path("", crd.NAME), {})

    async def gone() -> bool:
        return await bed.api.get(DEFINITION, "", crd.NAME) is None

    await eventually("the kind is gone", gone, seconds=30)
    async with bed.operator() as operator, aiohttp.ClientSession() as session:

        async def asked(path: str) -> tuple[int, str]:
            url = f"http://127.0.0.1:{operator.health.port}{path}"
            async with session.get(url) as answer:
                return answer.status, await answer.text()

        await asyncio.wait_for(operator.lease.wait_held(), 10)
        assert (await asked("/healthz"))[0] == 200
        assert (await asked("/readyz"))[0] == 503
        await install_kind(bed.api)
        await asyncio.wait_for(operator.watch.synced.wait(), 30)
        assert (await asked("/readyz"))[0] == 200
        assert "pluginsandbox_leader 1.0" in (await asked("/metrics"))[1]
        await bed.put(source())
        await bed.put(sandbox())
        await bed.until("Ready", "True")


async def test_the_kind_may_go_and_come_back_under_a_running_operator(bed: Bed) -> None:
    async with bed.operator() as operator:
        await bed.put(source())
        await bed.put(sandbox())
        await bed.until("Ready", "True")
        await bed.write("DELETE", DEFINITION.path("", crd.NAME), {})

        async def gone() -> bool:
            left = await bed.api.get(DEFINITION, "", crd.NAME)
            return left is None and not list(operator.store.sandboxes())

        await eventually("the kind and its objects are gone", gone, seconds=30)
        await install_kind(bed.api)
        await bed.put(sandbox(name="again"))

        async def served() -> bool:
            return (await bed.condition("Ready", "again"))[0] == "True"

        await eventually("a new sandbox is served", served, seconds=60)


def _definition(kind: Kind, schema: dict[str, Any]) -> dict[str, Any]:
    version = {"name": kind.version, "served": True, "storage": True}
    return {
        "metadata": {"name": f"{kind.plural}.{kind.group}"},
        "spec": {
            "group": kind.group,
            "scope": "Namespaced",
            "names": {"kind": kind.name, "plural": kind.plural},
            "versions": [{**version, "schema": {"openAPIV3Schema": schema}}],
        },
    }


ANYTHING = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}


async def test_pods_are_monitored_where_the_prometheus_operator_is_installed(bed: Bed) -> None:
    definition = _definition(kinds.POD_MONITOR, ANYTHING)
    await bed.write("POST", DEFINITION.path(""), definition)

    async def served() -> bool:
        return await bed.api.serves(kinds.POD_MONITOR)

    await eventually("the kind", served)
    try:
        async with bed.operator():
            await bed.put(source())
            await bed.put(sandbox())
            await bed.until("Ready", "True")
            monitor = await bed.get(kinds.POD_MONITOR)
            assert monitor is not None
            assert monitor["spec"]["podMetricsEndpoints"] == [{"port": "admin", "path": "/metrics"}]
    finally:
        await bed.write("DELETE", DEFINITION.path("", definition["metadata"]["name"]), {})


async def test_a_spec_that_an_older_kind_let_pass_is_named(bed: Bed) -> None:
    loose = crd.definition()
    loose["spec"]["versions"][0]["schema"]["openAPIV3Schema"] = ANYTHING
    await _replace_kind(bed, loose)
    try:
        async with bed.operator():
            await bed.put(source())
            await bed.put(sandbox(contexts={"idleTimeoutSeconds": -1}))
            message = await bed.until("Stalled", "True", "SpecInvalid")
            assert "spec.contexts.idleTimeoutSeconds" in message
            await bed.put(sandbox())
            await bed.until("Ready", "True")
    finally:
        await install_kind(bed.api)


async def _replace_kind(bed: Bed, definition: dict[str, Any]) -> None:
    """Have the API server take anything for a PluginSandbox."""
    path = DEFINITION.path("", crd.NAME)
    live = await bed.api.get(DEFINITION, "", crd.NAME)
    assert live is not None
    await bed.write("PUT", path, {**live, "spec": definition["spec"]})
    junk = sandbox(name="probe", contexts={"idleTimeoutSeconds": -1})

    async def taken() -> bool:
        try:
            await bed.write("POST", kinds.SANDBOX.path(bed.namespace), junk, dryRun="All")
        except PermanentError:
            return False
        return True

    await eventually("any spec is taken", taken)


async def test_a_failing_operator_says_so_and_goes_on(
    bed: Bed, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any) -> Any:
        raise ZeroDivisionError("a defect")

    async with bed.operator() as operator:
        with monkeypatch.context() as patched:
            patched.setattr(reconcile, "decide", broken)
            await bed.put(source())
            await bed.put(sandbox())
            message = await bed.until("Reconciling", "True", "OperatorError")
            assert "ZeroDivisionError: a defect" in message
        await bed.until("Ready", "True")
        assert not operator._stopping
