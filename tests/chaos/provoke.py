"""Gives whoever leads something to write, again and again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from pluginsandbox.controller import kinds
from tests.integration.operator.bed import SANDBOX, Bed

EVERY_SECONDS = 0.1


@asynccontextmanager
async def provoked(bed: Bed) -> AsyncIterator[None]:
    """Change a child of the bed's sandbox until the end of the block."""

    async def provoke() -> None:
        while True:
            mine = {"spec": {"policyTypes": ["Ingress"]}}
            await bed.api.merge(kinds.NETWORK_POLICY, bed.namespace, SANDBOX, mine)
            await asyncio.sleep(EVERY_SECONDS)

    task = asyncio.create_task(provoke())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
