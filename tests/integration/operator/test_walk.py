"""However a spec was reached, the children are those of a fresh apply; `make walk` goes further."""

from __future__ import annotations

import datetime as dt
import os

import pytest

from tests.walk.walk import walk

pytestmark = pytest.mark.cluster

TRANSITIONS = 36
SEED = 0 if "CI" in os.environ else dt.datetime.now(dt.UTC).toordinal()


async def test_the_way_to_a_spec_does_not_matter() -> None:
    report = await walk(TRANSITIONS, SEED)
    print(f"{report.line()} seed={SEED}")
    assert not report.divergences, "\n".join(report.divergences)
    assert report.transitions == TRANSITIONS
