"""The API server dies under pods that serve: no call fails, and the operator goes on afterwards."""

from __future__ import annotations

import pytest

from tests.bed import outage
from tests.bed.platform import Platform

pytestmark = pytest.mark.pods


@pytest.mark.skipif(not outage.is_local(), reason="it kills processes of a node of our own")
def test_without_an_api_server_every_call_is_answered(operator: Platform, namespace: str) -> None:
    outage.prepare(operator, namespace)
    outcome = outage.Outcome()
    outage.endure(operator, namespace, ("kube-apiserver",), outcome)
    assert outcome.wrong == []
    assert outcome.calls == outcome.answered > 0
