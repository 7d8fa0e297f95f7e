"""Killed before and after every write of its first flows, the operator ends where it would have."""

from __future__ import annotations

import asyncio
import re
import sys

import pytest

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(600)]


async def test_killed_at_every_write_of_create_and_of_a_plugin_change() -> None:
    # A process of its own: what was killed leaves its connections open.
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.chaos", "--short"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, log = (each.decode() for each in await process.communicate())
    assert process.returncode == 0, log
    found = re.fullmatch(r"kills=(\d+) divergences=0 orphans=0 duplicates=0\n", out)
    assert found, out
    assert int(found[1]) >= 20, "two for each write"
