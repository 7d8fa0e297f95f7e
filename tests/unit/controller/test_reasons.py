"""Every reason of the closed list is brought about by a test on a real API server or cluster."""

from __future__ import annotations

from pathlib import Path

import pytest

from pluginsandbox.api.reasons import Reason

TESTS = Path(__file__).parents[2]
REAL = "".join(
    path.read_text()
    for folder in ("integration/operator", "e2e")
    for path in sorted((TESTS / folder).glob("test_*.py"))
)


@pytest.mark.parametrize("reason", Reason)
def test_a_reason_is_brought_about_for_real(reason: Reason) -> None:
    assert f'"{reason}"' in REAL
