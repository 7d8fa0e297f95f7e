"""`pluginsandbox decisions` where there is no operator to ask; tests/e2e has the real one."""

from __future__ import annotations

import asyncio

import pytest

from pluginsandbox import cli
from tests.integration.operator.bed import SANDBOX, Bed

pytestmark = pytest.mark.cluster


async def test_without_an_operator_it_says_where_it_looked(
    bed: Bed, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["decisions", SANDBOX, "-n", bed.namespace, "--kubeconfig", str(bed.kubeconfig)]
    words += ["--operator-namespace", bed.namespace]
    assert await asyncio.to_thread(cli.main, words) == 1
    told = capsys.readouterr().err
    assert f"no pod of the operator runs in namespace {bed.namespace}" in told
    assert "--operator-namespace" in told
