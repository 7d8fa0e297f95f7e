"""The policy that tests of scaling use, and how they see that it took effect."""

from __future__ import annotations

from typing import Any

from tests.integration.operator.bed import Bed, eventually

POLICY: dict[str, Any] = {
    "minReplicas": 1,
    "maxReplicas": 4,
    "metrics": [{"type": "Concurrency", "target": 1}],
    "stableWindowSeconds": 6,
    "panicWindowSeconds": 1,
    "scaleDownDelaySeconds": 1,
    "rates": {"downPercent": 100},
}
"""From one to four pods by calls in progress, with windows short enough to watch."""


async def pods(bed: Bed, count: int) -> None:
    """Wait until exactly so many pods are wanted, there and ready."""

    async def there() -> bool:
        status = await bed.status()
        numbers = {status.get(name) for name in ("replicas", "readyReplicas", "desiredReplicas")}
        return numbers == {count}

    await eventually(f"{count} pods", there, seconds=60)
