"""`pluginsandbox explain` against a real API server, with and without an operator."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from pluginsandbox import cli
from tests.integration.operator.bed import SANDBOX, Bed, sandbox, source

pytestmark = pytest.mark.cluster

Explain = Callable[..., Awaitable[tuple[int, str]]]


@pytest.fixture
def explain(bed: Bed, capsys: pytest.CaptureFixture[str]) -> Explain:
    """Run the command; gives its exit status and all that it printed."""

    async def run(name: str = SANDBOX) -> tuple[int, str]:
        words = ["explain", name, "-n", bed.namespace, "--kubeconfig", str(bed.kubeconfig)]
        status = await asyncio.to_thread(cli.main, words)
        printed = capsys.readouterr()
        return status, printed.out + printed.err

    return run


async def test_a_sandbox_is_explained_from_its_birth_to_its_readiness(
    bed: Bed, explain: Explain
) -> None:
    status, text = await explain("nobody")
    assert status == 1
    assert f"there is no PluginSandbox {bed.namespace}/nobody" in text
    await bed.put(sandbox())
    status, text = await explain()
    assert status == 0
    assert "has not seen generation 1" in text
    assert "SourceMissing: ConfigMap counter of plugin counter does not exist" in text
    async with bed.operator():
        await bed.until("Reconciling", "True", "SourceMissing")
        text = (await explain())[1]
        assert "Reconciling is True, SourceMissing" in text
        assert "Do: Create it in the sandbox's namespace" in text
        await bed.put(source())
        await bed.until("Ready", "True")
        await bed.until("PluginsLoaded", "True")
        text = (await explain())[1]
        assert "1 pod, 1 of the present template, 1 ready" in text
        assert text.endswith("It waits for:\n  - nothing\n")
